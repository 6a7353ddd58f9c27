//! Stores one record after the other, and names each when it is safe: for whoever pulls the plug.
//!
//! `cargo xtask test --vm cuts` builds it with the feature `storing`, and runs it in a virtual machine.
#![expect(clippy::print_stdout, reason = "whoever pulls the plug reads what is safe")]

use std::env;
use std::error::Error;
use std::path::PathBuf;

use tokenward_device::agent::{Kept, Memory};
use tokenward_device::content::Content;
use tokenward_device::state::Store;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::args_os().nth(1).ok_or("name a folder")?).join("state");
    let (mut store, found) = Store::open(&folder)?;
    let number =
        |memory: &Memory| -> Option<u64> { memory.kept.as_ref()?.content.text.parse().ok() };
    let mut generation = number(&found).unwrap_or(0);
    println!("found {generation}");
    loop {
        generation += 1;
        let content = Content { text: generation.to_string(), author: None };
        let kept = Kept { content, etag: None, fetched_unix: None };
        store.save(&Memory { handle: None, kept: Some(kept) })?;
        println!("stored {generation}");
    }
}
