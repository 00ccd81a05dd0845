"""Places: files and folders of any file system, named as people name them.

A path is of this machine; ``s3://bucket/prefix``, ``gs://…`` and others are of whatever pyarrow
knows, or fsspec. Credentials come from where the tools of each look for them, so that none is
handed about; a server that speaks like S3 is named by ``AWS_ENDPOINT_URL``, or in the address:
``s3://bucket/prefix?endpoint_override=minio:9000&scheme=http``.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import pyarrow as pa
from pyarrow import fs

from leukoscope.cells.folders import walk
from leukoscope.errors import BadInputError, LeukoscopeError
from leukoscope.files import SCRATCH, atomic
from leukoscope.inference.inputs import as_text, bare, remote

OBJECTS = frozenset({"s3", "gcs", "abfs"})
"""Where there are no folders to be made."""

HERE = "/"


@dataclass(frozen=True)
class Place:
    """A file or folder.

    Attributes:
        address: by which other machines find its file system, too; `HERE` of this one's.
        path: in that.
        files: the file system.
    """

    address: str
    path: str
    files: fs.FileSystem = field(compare=False, repr=False)

    @classmethod
    def of(cls, address: str) -> "Place":
        """Return the place that `address` names; whether anything is there is not asked.

        Raises:
            BadInputError: no file system is known by that name, or it refuses the address.
        """
        if not remote(address):
            return cls(HERE, str(Path(address).resolve()), fs.LocalFileSystem())
        try:
            files, path = fs.FileSystem.from_uri(address)
        except (pa.ArrowException, OSError) as error:
            if "Unrecognized filesystem type" not in str(error):
                raise BadInputError(f"{bare(address)}: {error}") from error
            files, path = _by_fsspec(address)
        return cls(address, path.rstrip("/"), files)

    @property
    def local(self) -> Path | None:
        """It as a path of this machine, if it is one."""
        return Path(self.path) if isinstance(self.files, fs.LocalFileSystem) else None

    @property
    def name(self) -> str:
        """What people are shown, and tables name it by; nothing in it is secret."""
        if self.local:
            return as_text(self.path)
        return f"{self.address.partition('://')[0]}://{self.path.lstrip('/')}"

    def at(self, path: str) -> "Place":
        """Return the place at `path` of the same file system."""
        return replace(self, path=path)

    def below(self, name: str) -> "Place":
        """Return the place `name` below this one."""
        return self.at(f"{self.path}/{name}")

    def size(self) -> int | None:
        """Return how many bytes a file has; None of a folder.

        Raises:
            BadInputError: there is neither.
            LeukoscopeError: the file system does not answer.
        """
        there, size = self._found()
        if not there:
            raise BadInputError(f"{self.name}: no such file or folder")
        return size

    def exists(self) -> bool:
        """Tell whether anything is there.

        Raises:
            LeukoscopeError: the file system does not answer.
        """
        return self._found()[0]

    def _found(self) -> tuple[bool, int | None]:
        """Return whether anything is there, and how many bytes, of a file."""
        with self._telling():
            if self.local:  # pyarrow tells nothing of a name that is no UTF-8
                if not self.local.exists():
                    return False, None
                return True, self.local.stat().st_size if self.local.is_file() else None
            info = self.files.get_file_info(self.path)
        return info.type != fs.FileType.NotFound, info.size if info.is_file else None

    def files_below(self) -> Iterator[tuple["Place", int]]:
        """Yield each file below a folder, and its bytes, sorted, each folder's own files first.

        What is held at once are the names in one folder and in those above it.

        Raises:
            BadInputError: a folder cannot be listed.
            LeukoscopeError: the file system does not answer.
        """
        if self.local:
            for path in walk(self.local):
                yield self.at(str(path)), path.stat().st_size if path.exists() else 0
            return
        with self._telling():
            found = self.files.get_file_info(fs.FileSelector(self.path, allow_not_found=True))
        found = sorted(found, key=lambda info: info.path)
        yield from ((self.at(info.path), info.size) for info in found if info.is_file)
        for info in found:
            if info.type == fs.FileType.Directory:
                yield from self.at(info.path.rstrip("/")).files_below()

    def opened(self) -> pa.NativeFile:
        """Open a file to read in it.

        Raises:
            OSError: it cannot be.
        """
        return self.files.open_input_file(os.fsencode(self.path) if self.local else self.path)

    def read(self) -> bytes:
        """Return what is in a file.

        Raises:
            OSError: it cannot be read.
        """
        with self.opened() as file:
            return bytes(file.read())

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """Yield a scratch path; once it is written, the file is here, whole, in place of another.

        Raises:
            LeukoscopeError: the file system does not take it.
        """
        if self.local:
            with atomic(self.local) as scratch:
                yield scratch
            return
        with TemporaryDirectory(prefix="leukoscope-") as folder:
            scratch = Path(folder) / PurePosixPath(self.path).name
            yield scratch
            with self._telling():
                if self.files.type_name in OBJECTS:
                    self._take(scratch)
                    return
                # Elsewhere a file can be seen while it is half there.
                folder_here = PurePosixPath(self.path).parent
                self.files.create_dir(str(folder_here), recursive=True)
                half = self.at(str(folder_here / f"{SCRATCH}{os.getpid()}-{scratch.name}"))
                half._take(scratch)
                self.remove()  # over another file HDFS moves none
                self.files.move(half.path, self.path)

    def _take(self, scratch: Path) -> None:
        # Outside of Python, where no Ctrl-C can end half a file as if it were a whole one.
        fs.copy_files(str(scratch), self.path, fs.LocalFileSystem(), self.files)

    def remove(self) -> None:
        """Remove a file, if there is one.

        Raises:
            LeukoscopeError: the file system does not do it.
        """
        with self._telling():
            if self.local:
                self.local.unlink(missing_ok=True)
            elif self.exists():
                self.files.delete_file(self.path)

    def write(self, content: bytes) -> None:
        """Write a file, whole or not at all.

        Raises:
            LeukoscopeError: the file system does not take it.
        """
        with self.writing() as scratch:
            scratch.write_bytes(content)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise LeukoscopeError(f"{self.name}: {error}") from error


def _by_fsspec(address: str) -> tuple[fs.FileSystem, str]:
    from fsspec.core import url_to_fs

    try:
        files, path = url_to_fs(address)
    except (ValueError, ImportError, OSError) as error:
        raise BadInputError(f"{bare(address)}: {error}") from error
    return fs.PyFileSystem(fs.FSSpecHandler(files)), path
