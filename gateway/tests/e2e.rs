//! The `tokenward` program among programs that nobody here wrote: an OpenID provider, a browser,
//! nginx, curl and h2load. `cargo xtask test` installs them and says where they are.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod e2e {
    mod browser;
    mod clients;
    mod console;
    mod device;
    mod exits;
    mod floods;
    mod gateway;
    mod moves;
    mod nginx;
    mod page;
    mod program;
    mod provider;
    mod redirect;
    mod redis;
    mod rotation;
    mod secrecy;
    mod signals;
    mod step_up;
    mod upstream;
}
