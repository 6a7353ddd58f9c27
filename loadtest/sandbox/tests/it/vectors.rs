//! Holds the sandbox's provider against the vectors that tell what a tenant answers.

#[path = "vectors/rotation.rs"]
mod rotation;

use tokenward_vectors::hold;

#[test]
fn the_sandbox_agrees_with_the_vectors() {
    hold(&[("rotation_server", rotation::rotation)]);
}
