//! A Raspberry Pi 3 with the kernel's own driver of its bus, and a panel that QEMU models: neither
//! the driver nor the panel is ours.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tokenward_programs::clock;
use tokenward_programs::failure::Failure;

use crate::command;
use crate::terminal;
use crate::tree::Tree;
use crate::vm::machine::Machine;
use crate::vm::parts::{self, Parts};

/// The modules of the Pi's own bus.
const MODULES: [&str; 2] = ["i2c-dev", "i2c-bcm2835"];
/// How the program must speak to this panel, which takes one command a message.
const SINGLE: &str = "single = true\n";
/// The panel's size as QEMU shows it: a part of the glass that we draw for.
const SIZE: (usize, usize) = (96, 16);
/// The column of our glass that QEMU shows first (`hw/display/ssd0303.c`).
const FIRST_COLUMN: usize = 36;
/// The width of our glass.
const WIDTH: usize = 128;
/// The screen of a machine without a network, in which nothing moves for the first ten minutes.
const SCREEN: &str = "network";
/// The first of the 256 letters of braille: each bit of the number behind it is one of its dots.
const BRAILLE: u32 = 0x2800;
/// The columns and rows of a letter's dots, in the order of its bits.
const DOTS: [(usize, usize); 8] = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)];
/// How often the picture is asked for, and for how long: the panel draws when QEMU gets to it.
const GAP: Duration = Duration::from_millis(500);
const LIMIT: Duration = Duration::from_secs(60);

/// Lets the program draw, and looks at what QEMU's panel shows.
///
/// # Errors
/// `Missed` when the program cannot draw, or the panel shows something else.
pub(super) fn play(tree: &Tree, parts: &Parts, run: &Path) -> Result<u64, Failure> {
    let (image, socket) = (run.join("pi.cpio"), run.join("pi.qmp"));
    parts.image(&MODULES, SINGLE)?.write(&image)?;
    let mut command = parts.emulator()?;
    command.args(["-machine", "raspi3b", "-accel", "tcg", "-m", "1G", "-dtb"]);
    command.arg(parts.board("bcm2837-rpi-3-b.dtb")?).arg("-initrd").arg(&image);
    command.args(["-device", "ssd0303,id=oled,bus=i2c-bus.1,address=0x3c"]);
    command.arg("-qmp").arg(format!("unix:{},server=on,wait=off", socket.display()));
    command.args(["-append", &parts.command_line("wired")]);
    let mut machine = Machine::start("pi", &command, &run.join("pi.log"))?;
    machine.hear("the picture", |line| line.contains("guest: ok drawn").then_some(()))?;
    let picture = run.join("pi.ppm");
    let wanted = expected(tree)?;
    let mut seen = Vec::new();
    let is_same = clock::poll(LIMIT, GAP, || {
        screendump(&socket, &picture).ok()?;
        seen = dots(&fs::read(&picture).ok()?)?;
        (seen == wanted).then_some(())
    });
    if is_same.is_none() {
        let (wanted, seen) = (in_text(&wanted), in_text(&seen));
        let what = format!("the panel should show:\n{wanted}\nbut shows:\n{seen}");
        return Err(Failure::Missed(format!("{what}\nlook at {}", picture.display())));
    }
    terminal::note(&format!("pi: dot for dot the screen {SCREEN:?}:\n{}", in_text(&seen)));
    Ok(2)
}

/// Has the program on this machine draw the screen, and returns the part of it that QEMU shows.
fn expected(tree: &Tree) -> Result<Vec<bool>, Failure> {
    let program = parts::built_here(tree, "tokenward-device", "tokenward-device", &[])?;
    let mut show = Command::new(program);
    let text = command::told(show.args(["show", SCREEN, "--term", "--braille"]), "show")?;
    let lines: Vec<Vec<u32>> = text.lines().map(letters).filter(|line| !line.is_empty()).collect();
    let lit = |x: usize, y: usize| {
        let letter = lines.get(y / 4).and_then(|line| line.get(x / 2)).copied().unwrap_or(BRAILLE);
        let bit = DOTS.iter().position(|dot| *dot == (x % 2, y % 4)).unwrap_or_default();
        x < WIDTH && letter >> bit & 1 == 1
    };
    Ok((0..SIZE.0 * SIZE.1).map(|at| lit(at % SIZE.0 + FIRST_COLUMN, at / SIZE.0)).collect())
}

/// Returns the letters of braille in a line.
fn letters(line: &str) -> Vec<u32> {
    line.chars().map(u32::from).filter(|letter| (BRAILLE..BRAILLE + 256).contains(letter)).collect()
}

fn in_text(dots: &[bool]) -> String {
    let line = |line: &[bool]| line.iter().map(|lit| if *lit { '#' } else { '.' }).collect();
    let lines: Vec<String> = dots.chunks(SIZE.0).map(line).collect();
    lines.join("\n")
}

/// Asks QEMU for the picture on its panel.
fn screendump(socket: &Path, picture: &Path) -> std::io::Result<()> {
    let mut monitor = UnixStream::connect(socket)?;
    monitor.set_read_timeout(Some(LIMIT))?;
    let mut replies = BufReader::new(monitor.try_clone()?);
    let wanted = format!(
        "{{\"execute\":\"screendump\",\"arguments\":{{\"filename\":{:?},\"device\":\"oled\"}}}}",
        picture.display().to_string()
    );
    let mut line = String::new();
    // Its greeting comes first, then a reply to each command.
    replies.read_line(&mut line)?;
    for command in ["{\"execute\":\"qmp_capabilities\"}", &wanted] {
        writeln!(monitor, "{command}")?;
        line.clear();
        replies.read_line(&mut line)?;
        if line.contains("\"error\"") {
            return Err(std::io::Error::other(line));
        }
    }
    Ok(())
}

/// Reads a portable pixmap (P6, 255 levels): for each dot of the panel, whether it is lit.
fn dots(pixmap: &[u8]) -> Option<Vec<bool>> {
    let body = pixmap.strip_prefix(b"P6\n")?;
    let mut lines = body.splitn(3, |&byte| byte == b'\n');
    let (size, _, dots) = (lines.next()?, lines.next()?, lines.next()?);
    let size = std::str::from_utf8(size).ok()?;
    let (width, height) = size.split_once(' ')?;
    let (width, height): (usize, usize) = (width.parse().ok()?, height.parse().ok()?);
    let dots = dots.get(..width * height * 3)?;
    // QEMU shows each dot of the panel as several of its own, of which one in its midst counts.
    let (wide, high) = (width / SIZE.0, height / SIZE.1);
    let at = |dot: usize| {
        let (x, y) = (dot % SIZE.0 * wide + wide / 2, dot / SIZE.0 * high + high / 2);
        dots.get((y * width + x) * 3..)?.get(..3)
    };
    (0..SIZE.0 * SIZE.1).map(|dot| Some(at(dot)?.iter().any(|&level| level > 127))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dot_of_the_panel_is_read_from_its_midst() {
        let mut pixmap = b"P6\n192 32\n255\n".to_vec();
        let start = pixmap.len();
        pixmap.resize(start + 3 * 192 * 32, 0);
        // The dot at column 5 of row 1 covers two columns and two rows of the picture.
        pixmap[start + 3 * (3 * 192 + 11)] = 0xff;
        let lit: Vec<usize> = dots(&pixmap)
            .unwrap()
            .iter()
            .enumerate()
            .filter(|dot| *dot.1)
            .map(|dot| dot.0)
            .collect();
        assert_eq!(lit, [SIZE.0 + 5]);
        assert_eq!(dots(b"P6\n192 32\n255\n"), None);
        assert_eq!(dots(b"GIF"), None);
    }
}
