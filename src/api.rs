//! The gRPC edge: listeners, who is calling, errors to statuses, and the services, which convert and do not decide.

pub mod caller;
pub mod connection;
pub mod door;
pub mod health;
pub mod listener;
pub mod node;
pub mod office;
mod reconcile;
pub mod status;

use std::time::Duration;

use tonic::service::Routes;
use tonic::transport::Server;
use tower::util::MapResponseLayer;

use crate::tasks::Tasks;
use health::Health;
use listener::Listener;

/// A silent connection is asked for a sign of life this often.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Bytes in flight on one stream: several parcels of a mebibyte.
const STREAM_WINDOW: u32 = 8 * 1024 * 1024;
/// Streams at one time on one connection.
const STREAMS_MAX: u32 = 256;

/// Serves `routes` behind a listener until the node stops; health and reflection come with them.
pub fn serve(tasks: &Tasks, listener: Listener, routes: Routes, health: Health) {
    let incoming = listener.accept(tasks);
    let mut stopping = tasks.stopping();
    tasks.spawn("server", async move {
        let server = Server::builder()
            .http2_keepalive_interval(Some(KEEP_ALIVE))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(STREAM_WINDOW)
            .max_concurrent_streams(STREAMS_MAX)
            .layer(MapResponseLayer::new(status::with_reason))
            .add_routes(
                routes
                    .add_service(health.service())
                    .add_service(reflection())
                    .add_service(older_reflection()),
            )
            .serve_with_incoming_shutdown(incoming, async move { stopping.stopped().await });
        if let Err(error) = server.await {
            tracing::error!(%error, "a server has ended");
        }
    });
}

/// Describes every service to programs that ask; what it says is in `proto/`.
fn descriptors() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(wire::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

fn reflection() -> tonic_reflection::server::v1::ServerReflectionServer<
    impl tonic_reflection::server::v1::ServerReflection,
> {
    #[expect(
        clippy::expect_used,
        reason = "the descriptors are part of the program; a test builds them"
    )]
    descriptors().build_v1().expect("the descriptors of this program are readable")
}

/// The same in the form that the libraries of several languages still ask for.
fn older_reflection() -> tonic_reflection::server::v1alpha::ServerReflectionServer<
    impl tonic_reflection::server::v1alpha::ServerReflection,
> {
    #[expect(
        clippy::expect_used,
        reason = "the descriptors are part of the program; a test builds them"
    )]
    descriptors().build_v1alpha().expect("the descriptors of this program are readable")
}
