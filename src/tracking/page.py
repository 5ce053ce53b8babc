"""Pages of one file each: jinja2 templates, escaped, with style, scripts and pictures inside."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from ..data import jpeg_text

TEMPLATES = Path(__file__).parent / "templates"


def render_page(template: Path, **values: Any) -> str:
    """Fill a template; nothing in the page refers to another file or server.

    Args:
        template: an HTML file; it finds those of its own folder and those here (`page.html`, which it extends).
        values: by their names in the template.

    Returns:
        The whole HTML document.
    """
    loader = FileSystemLoader([template.parent, TEMPLATES])
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals["picture"] = picture
    return environment.get_template(template.name).render(values) + "\n"


def picture(path: Path, width: int, alt: str) -> Markup:
    """A picture file as an <img> with a data URI, at most `width` px wide; a missing or broken file gives nothing."""
    try:
        with Image.open(path) as file:
            data, shown = jpeg_text(file.convert("RGB"), width), min(file.width, width)
    except OSError:
        return Markup()
    return Markup('<img src="data:image/jpeg;base64,{}" width="{}" alt="{}">').format(data, shown, alt)
