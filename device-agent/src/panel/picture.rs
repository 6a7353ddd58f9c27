//! Frames as files: what `show SCREEN --png` writes.

use std::io::{self, Write};

use crate::screen::frame::{Frame, Picture, WIDTH};
use crate::screen::in_pixels;

/// Dots of the file for each pixel of the glass.
const DOT: usize = 4;

/// Dots of dark glass around the picture.
const RIM: usize = 4 * DOT;

/// The colours of the file, as red, green and blue: dark glass, lit pixel, the gap between pixels.
const COLOURS: [[u8; 3]; 3] = [[6, 8, 12], [160, 220, 255], [96, 132, 153]];

/// Writes a frame as PNG, enlarged, as it looks on an OLED.
///
/// # Errors
///
/// Fails where the file cannot be written.
pub fn write_png(frame: &Frame, out: impl Write) -> io::Result<()> {
    let drawn = match &frame.picture {
        Picture::Bits(bits) => (**bits).clone(),
        Picture::Cells(cells) => in_pixels(cells),
    };
    let (columns, rows) = (WIDTH as usize, drawn.height() as usize);
    let (width, height) = (columns * DOT + 2 * RIM, rows * DOT + 2 * RIM);
    let mut dots = vec![0; width * height];
    for (x, y) in drawn.points() {
        let (x, y) = (x as usize * DOT + RIM, y as usize * DOT + RIM);
        for (down, right) in (0..DOT).flat_map(|down| (0..DOT).map(move |right| (down, right))) {
            let gap = down == DOT - 1 || right == DOT - 1;
            dots[(y + down) * width + x + right] = if gap { 2 } else { 1 };
        }
    }
    // Both are below a thousand.
    let mut encoder = png::Encoder::new(out, width as u32, height as u32);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(COLOURS.concat());
    let mut file = encoder.write_header().map_err(io::Error::other)?;
    file.write_image_data(&dots).map_err(io::Error::other)?;
    file.finish().map_err(io::Error::other)
}
