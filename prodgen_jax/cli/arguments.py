"""What the commands share in saying what they take."""

# said here so that --help needs no jax; a test holds it equal to METHODS
METHOD_NAMES = (
    "dcgan",
    "cgan",
    "wgan_gp",
    "stylegan",
    "progressive",
    "adagan",
    "ae",
    "vae",
    "cvae",
    "vaegan",
    "vqvae",
    "ddpm",
    "edm",
    "flow",
    "latent",
    "unclip",
    "pix2pix",
    "pix2pixhd",
    "srgan",
    "cyclegan",
    "adain",
    "consistency",
)
