//! `run`: the display on its wires, under systemd or by hand.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::{Failure, alarm, feed, runtime};
use crate::config::Config;
use crate::journal::Journal;
use crate::life::{Life, Order, Parts};
use crate::panel::bus::LinuxBus;
use crate::panel::{self, Wired};
use crate::state::Store;

/// How many orders may wait: a person presses one button.
const ORDERS_MAX: usize = 8;

/// Runs the display until a signal ends it.
pub(super) fn run(config: Config, needs_panel: bool) -> Result<(), Failure> {
    if needs_panel {
        let mut wires = Wired::new(&config.fitting, LinuxBus::new(&config.fitting.bus));
        wires.find().map_err(|fault| {
            Failure::unavailable(format!(
                "{}: {fault}; {}",
                config.fitting.bus.display(),
                fault.remedy()
            ))
        })?;
    }
    let (store, memory) = Store::open(&config.state_dir)?;
    let panel = panel::start(config.fitting.wire())
        .map_err(|error| Failure::unavailable(format!("no thread for the panel ({error})")))?;
    let journal = Journal::new();
    runtime()?.block_on(async {
        let (orders, ordered) = mpsc::channel(ORDERS_MAX);
        listen(&orders)?;
        let feed = feed(&config).await?;
        let parts = Parts { config, feed, store, memory, panel, journal, alarm: alarm()? };
        Life::new(parts).run(ordered).await;
        Ok(())
    })
}

/// Turns the system's signals into orders.
pub(super) fn listen(orders: &mpsc::Sender<Order>) -> Result<(), Failure> {
    for (kind, order) in [
        (SignalKind::hangup(), Order::Asked),
        (SignalKind::user_defined1(), Order::Asked),
        (SignalKind::interrupt(), Order::Quit),
        (SignalKind::terminate(), Order::Quit),
    ] {
        let mut signals = signal(kind)
            .map_err(|error| Failure::ours(format!("a signal cannot be taken ({error})")))?;
        let orders = orders.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                // A second press while the first waits says nothing new, but an end must arrive.
                if order == Order::Quit {
                    let _ = orders.send(order).await;
                } else {
                    let _ = orders.try_send(order);
                }
            }
        });
    }
    Ok(())
}
