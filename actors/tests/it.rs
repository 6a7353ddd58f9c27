//! The framework's tests from outside: one binary, one module per subject.

#[path = "it/bounds.rs"]
mod bounds;
#[path = "it/faults.rs"]
mod faults;
#[path = "it/framework.rs"]
mod framework;
#[path = "it/inject.rs"]
mod inject;
#[path = "it/machines.rs"]
mod machines;
#[path = "it/metrics.rs"]
mod metrics;
#[path = "it/metrics_events.rs"]
mod metrics_events;
#[path = "it/metrics_gauges.rs"]
mod metrics_gauges;
#[path = "it/metrics_ledger.rs"]
mod metrics_ledger;
#[path = "it/provider.rs"]
mod provider;
#[path = "it/provider_reply.rs"]
mod provider_reply;
#[cfg(feature = "redis")]
#[path = "it/redis_server.rs"]
mod redis_server;
#[path = "it/secrecy.rs"]
mod secrecy;
#[path = "it/step_up.rs"]
mod step_up;
#[path = "it/step_up_crowds.rs"]
mod step_up_crowds;
#[path = "it/stores.rs"]
mod stores;
#[path = "it/stores_alike.rs"]
mod stores_alike;
#[path = "it/stores_bench.rs"]
mod stores_bench;
#[path = "it/stores_board.rs"]
mod stores_board;
#[path = "it/stores_embedded.rs"]
mod stores_embedded;
#[path = "it/stores_full.rs"]
mod stores_full;
#[path = "it/stores_harm.rs"]
mod stores_harm;
#[path = "it/stores_listings.rs"]
mod stores_listings;
#[cfg(feature = "redis")]
#[path = "it/stores_redis.rs"]
mod stores_redis;
#[cfg(feature = "redis")]
#[path = "it/stores_redis_door.rs"]
mod stores_redis_door;
#[cfg(feature = "redis")]
#[path = "it/stores_redis_harm.rs"]
mod stores_redis_harm;
#[path = "it/stores_torn.rs"]
mod stores_torn;
#[path = "it/vectors.rs"]
mod vectors;
#[path = "it/world.rs"]
mod world;
