//! `run`: the display on its wires, under systemd or by hand.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::{Failure, alarm, feed, runtime};
use crate::button::{Button, Wiring};
use crate::config::Config;
use crate::journal::{Journal, Level};
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
    let mut journal = Journal::new();
    runtime()?.block_on(async {
        let (orders, ordered) = mpsc::channel(ORDERS_MAX);
        listen(&orders)?;
        let has_button =
            config.button.as_ref().is_some_and(|wiring| watch(wiring, &orders, &mut journal));
        let feed = feed(&config).await?;
        let alarm = alarm()?;
        let parts = Parts { config, feed, store, memory, panel, journal, alarm, has_button };
        Life::new(parts).run(ordered).await;
        Ok(())
    })
}

/// Turns presses of the button into orders; tells whether there is one. A display without it is
/// better than none.
fn watch(wiring: &Wiring, orders: &mpsc::Sender<Order>, journal: &mut Journal) -> bool {
    let button = match Button::open(wiring) {
        Ok(button) => button,
        Err(fault) => {
            journal.say(Level::Warning, &format!("{fault}; {}", fault.remedy()));
            return false;
        }
    };
    let orders = orders.clone();
    tokio::spawn(async move {
        while button.pressed().await.is_ok() {
            // A second press while the first waits says nothing new.
            let _ = orders.try_send(Order::Asked);
        }
    });
    true
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
