//! A Raspberry Pi 3 with the kernel's own driver of its bus, and a panel that QEMU models: neither
//! the driver nor the panel is ours.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::clock;
use crate::failure::Failure;
use crate::terminal;
use crate::vm::machine::Machine;
use crate::vm::parts::Parts;

/// The modules of the Pi's own bus.
const MODULES: [&str; 2] = ["i2c-dev", "i2c-bcm2835"];
/// How the program must speak to this panel, which takes one command a message.
const SINGLE: &str = "single = true\n";
/// The panel's size as QEMU shows it.
const SIZE: (usize, usize) = (96, 16);
/// Lit dots of any screen of ours on that part of the glass: neither blank nor all lit.
const LIT: std::ops::Range<usize> = 20..SIZE.0 * SIZE.1 / 2;
/// How often the picture is asked for, and for how long: the panel draws when QEMU gets to it.
const GAP: Duration = Duration::from_millis(500);
const LIMIT: Duration = Duration::from_secs(60);

/// Lets the program draw, and looks at what QEMU's panel shows.
///
/// # Errors
/// `Missed` when the program cannot draw, or the panel shows nothing of it.
pub(super) fn play(parts: &Parts, run: &Path) -> Result<u64, Failure> {
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
    let lit = clock::poll(LIMIT, GAP, || {
        screendump(&socket, &picture).ok()?;
        let lit = lit_dots(&fs::read(&picture).ok()?)?;
        LIT.contains(&lit).then_some(lit)
    });
    let Some(lit) = lit else {
        let at = picture.display();
        return Err(Failure::Missed(format!("the panel shows no screen of ours: look at {at}")));
    };
    terminal::note(&format!("pi: the panel shows {lit} lit dots; see {}", picture.display()));
    Ok(2)
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

/// Counts the bright dots of a portable pixmap (P6, 255 levels).
fn lit_dots(pixmap: &[u8]) -> Option<usize> {
    let body = pixmap.strip_prefix(b"P6\n")?;
    let mut lines = body.splitn(3, |&byte| byte == b'\n');
    let (size, _, dots) = (lines.next()?, lines.next()?, lines.next()?);
    let size = std::str::from_utf8(size).ok()?;
    let (width, height) = size.split_once(' ')?;
    let (width, height): (usize, usize) = (width.parse().ok()?, height.parse().ok()?);
    let dots = dots.get(..width * height * 3)?;
    let bright = dots.chunks_exact(3).filter(|dot| dot.iter().any(|&level| level > 127)).count();
    // QEMU shows each dot of the panel as several of its own.
    Some(bright * SIZE.0 * SIZE.1 / (width * height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bright_dots_are_counted_as_the_panel_has_them() {
        let mut pixmap = b"P6\n192 32\n255\n".to_vec();
        pixmap.extend([0xff; 3 * 8]);
        pixmap.resize(pixmap.len() + 3 * (192 * 32 - 8), 0);
        assert_eq!(lit_dots(&pixmap), Some(2));
        assert_eq!(lit_dots(b"P6\n192 32\n255\n"), None);
        assert_eq!(lit_dots(b"GIF"), None);
    }
}
