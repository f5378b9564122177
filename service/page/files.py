"""The files of the web page by address: addresses with content hashes, prepared and compressed once.

A page names its files by their plain addresses, `static/pages/app.js`. The page that a browser gets names addresses
with a hash of the content, `static/pages/app.0123456789ab.js`, which browsers keep for a year: a changed file gets a
new address. All style sheets of a page become one file, and a script becomes one file with all that it imports.
Scripts find the addresses of images in the page, as JSON in the element `files`.
"""

import gzip
import hashlib
import json
import logging
import os
import re
import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath

from service.page.scripts import bundle

_LOG = logging.getLogger(__name__)
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".map": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".woff2": "font/woff2",
}
_ALREADY_COMPRESSED = (".png", ".jpg", ".webp", ".ico", ".woff2")
_JOINED = {".html", ".css", ".js", ".map"}  # pages, and what they name themselves
_HASH_DIGITS = 12
_HASHED = re.compile(rf"(?P<stem>.+)\.[0-9a-f]{{{_HASH_DIGITS}}}(?P<suffix>\.\w+(?:\.map)?)")
_STYLE_SHEET = re.compile(r'<link rel="stylesheet" href="(static/[^"]+)">\n?')
_SCRIPT = re.compile(r'(?P<before><script (?=[^>]*type="module")[^>]*src=")(?P<address>static/[^"]+)"')
_OTHER = re.compile(r'(\b(?:href|src)=")((?:static|docs)/[^"]+\.\w+)"')
_FILES = re.compile(r'(?<=<script type="application/json" id="files">)\{\}(?=</script>)')
_RELATIVE_URL = re.compile(r"url\((?![\"']?(?:data:|#))|@import")
_LEAST_COMPRESSED = 1000  # bytes; smaller files fit in one packet anyway


class PageFile:
    """A file of the page.

    Args:
        content: its bytes.
        suffix: such as ".js"; one of MEDIA_TYPES.
    """

    def __init__(self, content: bytes, suffix: str) -> None:
        self.content = content
        self.suffix = suffix
        self.media_type = MEDIA_TYPES[suffix]
        self.digest = hashlib.sha256(content).hexdigest()

    @cached_property
    def gzipped(self) -> bytes | None:
        """The content compressed by gzip at its best level; None if that is of no use."""
        if self.suffix in _ALREADY_COMPRESSED or len(self.content) < _LEAST_COMPRESSED:
            return None
        return gzip.compress(self.content, 9, mtime=0)


class PageFiles:
    """The files below the addresses `static/` and `docs/`, read again when one of them changes.

    Args:
        folders: the folder of each first part of an address, such as {"static": Path("service/static")}. Pages are the
            HTML files in the folder of "static".
        only: the file names that are served of a folder, by the first part of an address; absent: all.
    """

    def __init__(self, folders: Mapping[str, Path], only: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self._folders = {name: folder.resolve() for name, folder in folders.items()}
        self._only = dict(only or {})
        self._lock = threading.Lock()
        self._last: _Built | None = None
        self._read: dict[Path, tuple[tuple[int, int], PageFile]] = {}  # with time of change and size

    def page(self, name: str) -> PageFile:
        """The HTML page of this name, with addresses of the files as they are now.

        Raises:
            KeyError: if there is no such page.
            ValueError: if scripts cannot be joined, see `bundle`; if the page names a file that does not exist; or if a
                style sheet names a file by a relative address.
        """
        return self._built(fresh=True).pages[name]

    def find(self, address: str) -> tuple[PageFile, bool] | None:
        """The file of an address such as "static/icon.svg", or of that address with a hash of the content.

        Returns:
            The file, and whether the address has the hash of this content: then it never changes. An address with an
            older hash gives the present file, so that a page of before an upgrade can still load. None: no such file.
        """
        built = self._built(fresh=False)
        if file := built.hashed.get(address):
            return file, True
        if found := _HASHED.fullmatch(address):
            plain = found["stem"] + found["suffix"]
            file = built.joined.get(plain) or self.read(plain)
        else:
            file = self.read(address)
        return (file, False) if file is not None else None

    def read(self, address: str) -> PageFile | None:
        """The file of a plain address, as it is on the disk; None if there is none, or if it is outside the folders."""
        first, _, rest = address.partition("/")
        folder, only = self._folders.get(first), self._only.get(first)
        if folder is None or (only is not None and rest not in only):
            return None
        try:
            path = (folder / rest).resolve()
            if not path.is_relative_to(folder) or path.suffix not in MEDIA_TYPES or not path.is_file():
                return None
            info = path.stat()
            written, file = self._read.get(path, (None, None))
            if file is None or written != (info.st_mtime_ns, info.st_size):
                file = PageFile(path.read_bytes(), path.suffix)
                self._read[path] = (info.st_mtime_ns, info.st_size), file
            return file
        except (OSError, ValueError):  # not a valid file name
            return None

    @property
    def root(self) -> Path:
        """The folder of the pages and their scripts."""
        return self._folders["static"]

    def _built(self, fresh: bool) -> "_Built":
        """What was made of the files; with `fresh`, of the files as they are now."""
        with self._lock:
            last = self._last
            if last is None or (fresh and last.state != self._state()):
                try:
                    self._last = last = _Built(self)
                except (ValueError, OSError):
                    if last is None:
                        raise
                    _LOG.warning("the page's files were changed and cannot be used", exc_info=True)
            return last

    def _state(self) -> tuple[tuple[str, int, int], ...]:
        """Path, time of change and size of every file of the page."""
        found = []
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(folder, name)
                info = os.stat(path)
                found.append((path, info.st_mtime_ns, info.st_size))
        return tuple(sorted(found))


class _Built:
    """All pages, and the files that they name, by their addresses with hashes.

    Attributes:
        state: of the files that this was made of.
        pages: HTML pages by file name.
        hashed: files by address with the hash of their content.
        joined: scripts and style sheets that were made of several files, by address without hash.
    """

    def __init__(self, files: PageFiles) -> None:
        self._files = files
        self.state = files._state()
        self.hashed: dict[str, PageFile] = {}
        self.joined: dict[str, PageFile] = {}
        self.pages = {path.name: self._page(path) for path in sorted(files.root.glob("*.html"))}

    def _page(self, path: Path) -> PageFile:
        text = path.read_text(encoding="utf-8")
        if sheets := _STYLE_SHEET.findall(text):
            address = self._styles(f"static/{path.stem}.css", sheets)
            text = _STYLE_SHEET.sub(f'<link rel="stylesheet" href="{address}">\n', text, count=1)
            text = _STYLE_SHEET.sub(lambda found: found[0] if found[1] == address else "", text)
        text = _SCRIPT.sub(lambda found: f'{found["before"]}{self._script(found["address"])}"', text)
        text = _OTHER.sub(lambda found: f'{found[1]}{self._other(found[2])}"', text)
        text = _FILES.sub(lambda _: self._listed(), text)
        return PageFile(text.encode(), ".html")

    def _listed(self) -> str:
        """JSON of the addresses with hashes of images and other files that scripts name, by path below the root."""
        paths = [path for path in self._files.root.rglob("*") if path.suffix in MEDIA_TYPES.keys() - _JOINED]
        names = sorted(path.relative_to(self._files.root).as_posix() for path in paths)
        return json.dumps({name: self._other(f"static/{name}").removeprefix("static/") for name in names})

    def _styles(self, address: str, sheets: list[str]) -> str:
        """The address of one style sheet made of several, in their order."""
        text = "\n".join(self._content(sheet).decode() for sheet in sheets)
        if found := _RELATIVE_URL.search(text):
            raise ValueError(f"{address}: {found[0]!r} in a style sheet; allowed are url(data:...) and url(#...)")
        return self._add(address, text.encode(), joined=True)

    def _script(self, address: str) -> str:
        """The address of a script with all that it imports."""
        if address in self.joined:
            return _with_hash(address, self.joined[address].digest)
        made = bundle(self._files.root, address.removeprefix("static/"))
        name = PurePosixPath(address)
        digest = hashlib.sha256(made.script.encode()).hexdigest()
        map_address = f"{_with_hash(address, digest)}.map"
        self.hashed[map_address] = PageFile(made.source_map.encode(), ".map")
        link = f"//# sourceMappingURL={PurePosixPath(map_address).name}\n"
        return self._add(str(name), (made.script + link).encode(), joined=True)

    def _other(self, address: str) -> str:
        """The address with hash of a file that is served as it is."""
        if _HASHED.fullmatch(address):
            return address  # of a joined file
        return self._add(address, self._content(address))

    def _content(self, address: str) -> bytes:
        file = self._files.read(address)
        if file is None:
            raise ValueError(f"a page names {address}, which does not exist")
        return file.content

    def _add(self, address: str, content: bytes, joined: bool = False) -> str:
        file = PageFile(content, PurePosixPath(address).suffix)
        hashed = _with_hash(address, file.digest)
        self.hashed[hashed] = file
        if joined:
            self.joined[address] = file
        return hashed


def _with_hash(address: str, digest: str) -> str:
    """ "static/icon.svg" as "static/icon.0123456789ab.svg"."""
    stem, _, suffix = address.rpartition(".")
    return f"{stem}.{digest[:_HASH_DIGITS]}.{suffix}"
