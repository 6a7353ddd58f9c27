//! Holds the sandbox's provider against the vectors that tell what a tenant answers.

#[path = "vectors/policy.rs"]
mod policy;
#[path = "vectors/rotation.rs"]
mod rotation;

use tokenward_vectors::hold;

#[test]
fn the_sandbox_agrees_with_the_vectors() {
    hold(&[("policy_precedence", policy::precedence), ("rotation_server", rotation::rotation)]);
}
