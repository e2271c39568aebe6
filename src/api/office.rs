//! The office API: what clerks' programs ask of their own node.

mod access;
mod agreement;
mod audit;
mod bulk;
mod bundle;
mod case;
mod certificate;
mod consent;
mod delivery;
mod directory;
mod draw;
mod field;
mod import;
mod indicator;
mod letter;
mod message;
mod notice;
mod peer;
mod reconcile;
mod registration;
mod reports;
pub mod rights;
mod status;
mod track;
mod upkeep;

use std::sync::Arc;

use store::Store;
use tonic::service::Routes;
use wire::pb::office::agreement_service_server::AgreementServiceServer;
use wire::pb::office::audit_service_server::AuditServiceServer;
use wire::pb::office::bulk_hand_over_service_server::BulkHandOverServiceServer;
use wire::pb::office::bundle_service_server::BundleServiceServer;
use wire::pb::office::case_service_server::CaseServiceServer;
use wire::pb::office::certificate_service_server::CertificateServiceServer;
use wire::pb::office::consent_service_server::ConsentServiceServer;
use wire::pb::office::delivery_service_server::DeliveryServiceServer;
use wire::pb::office::directory_service_server::DirectoryServiceServer;
use wire::pb::office::draw_service_server::DrawServiceServer;
use wire::pb::office::import_service_server::ImportServiceServer;
use wire::pb::office::indicator_service_server::IndicatorServiceServer;
use wire::pb::office::message_service_server::MessageServiceServer;
use wire::pb::office::reconcile_service_server::ReconcileServiceServer;
use wire::pb::office::registration_service_server::RegistrationServiceServer;
use wire::pb::office::status_service_server::StatusServiceServer;
use wire::pb::office::upkeep_service_server::UpkeepServiceServer;

use crate::config::Settings;
use crate::delivery::bundles::Bundles;
use crate::delivery::directory::Directory;
use crate::delivery::hub::Hub;
use crate::delivery::identity::NodeIdentity;
use crate::delivery::limits::disk::DiskGuard;
use crate::delivery::peers::Peers;
use crate::delivery::reconcile::Reconcile;
use crate::tasks::Tasks;

pub(crate) use upkeep::to_pb as backup_to_pb;

/// Largest request of a clerk's program, bytes: a message of the largest size, and what is around it.
const REQUEST_BYTES_MAX: usize = 128 * 1024;

/// What the services are made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Settings of the node.
    pub settings: Arc<Settings>,
    /// Its store.
    pub store: Store,
    /// Its identity.
    pub identity: Arc<NodeIdentity>,
    /// Its peers.
    pub peers: Peers,
    /// What it knows of the network, and says of itself.
    pub directory: Directory,
    /// Its neighbours.
    pub hub: Hub,
    /// The disk that its data lie on.
    pub disk: DiskGuard,
    /// Reconciliation.
    pub reconcile: Reconcile,
    /// Makes and takes bundle files.
    pub bundles: Bundles,
    /// The tasks of the node, for work that outlasts a call.
    pub tasks: Tasks,
}

/// The routes of the office API.
#[must_use]
pub fn routes(parts: Parts) -> Routes {
    let agreements = AgreementServiceServer::new(agreement::Agreements::new(&parts));
    let registrations = RegistrationServiceServer::new(registration::Registrations::new(&parts));
    let cases = CaseServiceServer::new(case::Cases::new(&parts));
    let certificates = CertificateServiceServer::new(certificate::Certificates::new(&parts));
    let consents = ConsentServiceServer::new(consent::Consents::new(&parts));
    let directory = DirectoryServiceServer::new(directory::Registry::new(&parts));
    let messages = MessageServiceServer::new(message::Messages::new(&parts));
    let delivery = DeliveryServiceServer::new(delivery::Delivery::new(&parts));
    let status = StatusServiceServer::new(status::NodeStatus::new(&parts));
    let bundles = BundleServiceServer::new(bundle::Files::new(&parts));
    let reconcile = ReconcileServiceServer::new(reconcile::Reconciliations::new(&parts));
    let upkeep = UpkeepServiceServer::new(upkeep::Upkeep::new(&parts));
    let audit = AuditServiceServer::new(audit::Audit::new(&parts));
    let imports = ImportServiceServer::new(import::Imports::new(&parts));
    let indicators = IndicatorServiceServer::new(indicator::Indicators::new(&parts));
    let draws = DrawServiceServer::new(draw::Draws::new(&parts));
    let bulks = BulkHandOverServiceServer::new(bulk::BulkHandOvers::new(&parts));
    let routes = Routes::new(registrations.max_decoding_message_size(REQUEST_BYTES_MAX))
        .add_service(audit.max_decoding_message_size(REQUEST_BYTES_MAX))
        .add_service(imports.max_decoding_message_size(import::REQUEST_BYTES_MAX))
        .add_service(indicators.max_decoding_message_size(REQUEST_BYTES_MAX))
        .add_service(draws.max_decoding_message_size(REQUEST_BYTES_MAX))
        .add_service(bulks.max_decoding_message_size(REQUEST_BYTES_MAX))
        .add_service(bundles.max_decoding_message_size(bundle::REQUEST_BYTES_MAX))
        .add_service(agreements.max_decoding_message_size(REQUEST_BYTES_MAX))
        .add_service(cases.max_decoding_message_size(REQUEST_BYTES_MAX))
        .add_service(certificates.max_decoding_message_size(REQUEST_BYTES_MAX))
        .add_service(consents.max_decoding_message_size(REQUEST_BYTES_MAX))
        .add_service(directory.max_decoding_message_size(REQUEST_BYTES_MAX))
        .add_service(messages.max_decoding_message_size(REQUEST_BYTES_MAX))
        .add_service(delivery.max_decoding_message_size(REQUEST_BYTES_MAX))
        .add_service(status.max_decoding_message_size(REQUEST_BYTES_MAX))
        .add_service(reconcile.max_decoding_message_size(REQUEST_BYTES_MAX))
        .add_service(upkeep.max_decoding_message_size(REQUEST_BYTES_MAX));
    rights::guard(routes)
}
