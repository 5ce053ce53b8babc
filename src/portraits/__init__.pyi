from .draw import render_portrait as render_portrait, render_portraits as render_portraits
from .photo import render_photograph as render_photograph
