//! The machine itself: file systems, modules of the kernel, and adapters that come and go.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};

use tokenward_bus::{Adapter, usbip};

/// Where the kernel's modules are, and the file that names them in order.
const MODULES: &str = "/modules";
/// The virtual USB controller.
const CONTROLLER: &str = "/sys/devices/platform/vhci_hcd.0";
/// How often the machine is asked whether something has come or gone: it has no other work.
const GAP: Duration = Duration::from_millis(20);
/// How many times: ten minutes, for an emulated machine on a busy one.
const TRIES: u32 = 30_000;

/// Mounts what every program expects, and loads the modules.
pub(crate) fn set_up() -> io::Result<()> {
    let mounts = [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("tmpfs", "/run"),
        ("tmpfs", "/tmp"),
    ];
    for (kind, place) in mounts {
        fs::create_dir_all(place)?;
        mount(Some(kind), place, Some(kind), MsFlags::empty(), None::<&str>)?;
    }
    for name in fs::read_to_string(Path::new(MODULES).join("order"))?.lines() {
        let module = File::open(Path::new(MODULES).join(name))?;
        match finit_module(&module, c"", ModuleInitFlags::empty()) {
            // A part of the kernel itself on another architecture.
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(io::Error::other(format!("module {name}: {error}"))),
        }
    }
    Ok(())
}

/// Plugs an adapter into USB, and waits until the kernel has a file for it.
pub(crate) fn plug_in(adapter: &Adapter) -> io::Result<PathBuf> {
    let (ours, kernels) = UnixStream::pair()?;
    let cable = format!("0 {} {}", kernels.as_raw_fd(), usbip::DEVICE_AND_SPEED);
    fs::write(Path::new(CONTROLLER).join("attach"), cable)?;
    let adapter = adapter.clone();
    thread::Builder::new().spawn(move || usbip::serve(ours, &adapter))?;
    let name = until(|| adapter_named("i2c-tiny-usb"))?;
    let node = Path::new("/dev").join(name);
    until(|| node.exists().then_some(()))?;
    Ok(node)
}

/// Pulls the adapter out, and waits until its file is gone.
pub(crate) fn pull_out(node: &Path) -> io::Result<()> {
    fs::write(Path::new(CONTROLLER).join("detach"), "0")?;
    until(|| (!node.exists()).then_some(()))
}

/// Returns the file of the adapter that the machine came with.
pub(crate) fn built_in(name: &str) -> io::Result<PathBuf> {
    Ok(Path::new("/dev").join(until(|| adapter_named(name))?))
}

/// Lets a driver of the kernel take the address of the panel, or give it back.
pub(crate) fn take_address(node: &Path, taken: bool) -> io::Result<()> {
    let bus = node.file_name().unwrap_or_default();
    let bus = Path::new("/sys/bus/i2c/devices").join(bus);
    match taken {
        true => fs::write(bus.join("new_device"), "dummy 0x3c"),
        false => fs::write(bus.join("delete_device"), "0x3c"),
    }
}

/// Waits until the machine has come to something.
pub(crate) fn until<T>(mut ready: impl FnMut() -> Option<T>) -> io::Result<T> {
    for _ in 0..TRIES {
        if let Some(found) = ready() {
            return Ok(found);
        }
        thread::sleep(GAP);
    }
    Err(io::Error::other("the machine did not come to it"))
}

fn adapter_named(wanted: &str) -> Option<String> {
    let adapters = fs::read_dir("/sys/bus/i2c/devices").ok()?;
    let mut names = adapters.flatten().map(|entry| entry.path());
    let found = names.find(|adapter| {
        fs::read_to_string(adapter.join("name")).is_ok_and(|name| name.contains(wanted))
    })?;
    let name = found.file_name()?.to_str()?.to_owned();
    name.starts_with("i2c-").then_some(name)
}
