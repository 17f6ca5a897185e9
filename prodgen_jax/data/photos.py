"""The merchant's photos: a folder or a zip archive, read member by member, nothing unpacked."""

import hashlib
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from threading import Lock

from prodgen_jax.data.clean import BadPhoto
from prodgen_jax.data.columns import SUFFIXES
from prodgen_jax.errors import InputError

LARGEST_FILE = 256 * 2**20  # bytes; a photo file beyond this is dropped unread


@dataclass(frozen=True, eq=False)
class Photos:
    """`sizes` {path inside: bytes}, `read(path) -> bytes`; `mark` changes when the photos change."""

    where: Path
    sizes: dict[str, int]
    read: Callable[[str], bytes]
    mark: str

    def finder(self) -> Callable[[str], str]:
        """`find(cell) -> path inside`: by path, else by file name or its stem alone. BadPhoto if none or several."""
        by_name: dict[str, list[str]] = {}
        for path in self.sizes:
            inside = PurePosixPath(path)
            for name in {inside.name, inside.stem} if _is_picture(path) else {inside.name}:
                by_name.setdefault(name, []).append(path)

        def find(cell: str) -> str:
            cell = cell.replace("\\", "/")
            if cell in self.sizes:
                return cell
            found = by_name.get(PurePosixPath(cell).name, []) if cell else []
            if not found:
                raise BadPhoto("missing photo")
            if len(found) > 1:
                raise BadPhoto("ambiguous photo name", " or ".join(sorted(found)[:3]))
            return found[0]

        return find

    def fetch(self, path: str) -> bytes:
        """The bytes of one photo. BadPhoto if it is too large or cannot be read."""
        if self.sizes[path] > LARGEST_FILE:
            raise BadPhoto("photo too large", f"{self.sizes[path]} bytes")
        try:
            return self.read(path)
        except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
            raise BadPhoto("corrupt photo", str(error)) from error

    def pictures(self) -> set[str]:
        """The paths that look like photos: what is not in the product list among them is an orphan."""
        return {path for path in self.sizes if _is_picture(path)}


def open_photos(where: str | Path) -> Photos:
    """Open a folder or zip of photos. InputError if it is neither, damaged, encrypted, or holds unsafe paths."""
    where = Path(where)
    if where.is_dir():
        return _open_folder(where)
    if not where.exists():
        raise InputError(f"{where}: no such folder or zip of photos")
    if not zipfile.is_zipfile(where):
        raise InputError(f"{where}: neither a folder nor a whole zip archive of photos")
    return _open_zip(where)


def beside(table: Path) -> Path:
    """Where the photos of a product list are when nobody said: images/, images.zip, or the list's own folder."""
    usual = (table.parent / "images", table.parent / "images.zip")
    return next((place for place in usual if place.exists()), table.parent)


def _is_picture(path: str) -> bool:
    return path.lower().endswith(SUFFIXES)


def _ignored(path: str) -> bool:
    """What operating systems leave behind in archives and folders."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(path).parts)


def _mark(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _open_folder(where: Path) -> Photos:
    files = {p.relative_to(where).as_posix(): p.stat() for p in where.rglob("*") if p.is_file()}
    sizes = {name: stat.st_size for name, stat in files.items() if not _ignored(name)}
    mark = _mark([f"{name} {files[name].st_size} {files[name].st_mtime_ns}" for name in sizes if _is_picture(name)])
    return Photos(where, sizes, lambda name: (where / name).read_bytes(), mark)


def _open_zip(where: Path) -> Photos:
    try:
        archive = zipfile.ZipFile(where)
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"{where}: damaged zip archive ({error})") from error
    members = {info.filename: info for info in archive.infolist() if not info.is_dir()}
    for name, info in members.items():
        if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive:
            raise InputError(f"{where}: member '{name}' points outside the archive; refused, make a clean archive")
        if info.flag_bits & 1:
            raise InputError(f"{where}: member '{name}' is encrypted; make an archive without a password")
    members = {name: info for name, info in members.items() if not _ignored(name)}
    lock = Lock()  # one file handle: reading is short, decoding is what runs in parallel

    def read(name: str) -> bytes:
        with lock:
            return archive.read(name)

    mark = _mark([f"{name} {info.CRC} {info.file_size}" for name, info in members.items()])
    return Photos(where, {name: info.file_size for name, info in members.items()}, read, mark)
