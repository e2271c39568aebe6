//! Tests of the use cases of records, each on a real store in a directory of its own.

mod accounts;
mod again;
mod aging;
mod apart;
mod asking;
mod bulk;
mod carried;
mod cases;
mod clocks;
mod clocks_doubted;
mod consenting;
mod couples;
mod delivered_again;
mod documents;
mod erasing;
mod importing;
mod kinds;
mod letters;
mod lost_memory;
mod mail;
mod measured;
mod moving;
mod notices;
mod papers;
mod periods;
mod progress;
mod recalled;
mod reconciling;
mod refusals;
mod renewals;
mod repeats;
mod reported;
mod restoring;
mod retaining;
mod retried;
mod returned;
mod rights;
mod rogues;
mod shown_elsewhere;
mod stays;
mod taken_back;
mod unreadable;
mod versions;
mod withdrawals;
mod words;

use std::sync::Arc;
use std::time::Duration;

use domain::access::{Caller, Role};
use domain::area::AreaCode;
use domain::person::{PersonDetails, Sex};
use domain::purpose::{LawfulBasis, Purpose};
use domain::reason::Reason;
use domain::registration::RegistrationDetails;
use domain::synthetic::People;
use domain::text::Note;
use domain::time::{Date, UnixMillis};
use store::{DataKey, Options, Store};
use tempfile::TempDir;
use trust::authority::{ProvinceAuthority, RootAuthority};
use trust::crl::{GRACE_DEFAULT, RevocationLists};
use trust::leaf::{Identity, request};
use trust::name::{CertificateName, Suffix};
use trust::tls::TlsMaterial;
use trust::verify::{ChainVerifier, Roots};

use super::access::Why;
use super::persons::{self, Found};
use super::registrations::{self, Arrival, Registered};
use super::{AppError, Ctx};

/// 2026-03-01T08:00:00+08:00.
const NOW: UnixMillis = UnixMillis::new(1_772_323_200_000);
/// The residence county of these tests.
const HERE: &str = "440305";
/// The origin county of these tests.
const ORIGIN: &str = "410522";
/// What a clerk says when she looks somebody up.
const LOOKING: Why =
    Why { basis: LawfulBasis::StatutoryDuty, purpose: Purpose::ResidenceRegistration };

/// The office of one county: its store, and whoever works there.
struct Office {
    area: AreaCode,
    store: Store,
    _dir: TempDir,
}

impl Office {
    fn of(area: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::new(area, DataKey::from_bytes([7; 32]), NOW);
        let (store, _) = Store::open(dir.path(), options).unwrap();
        Self { area: area.parse().unwrap(), store, _dir: dir }
    }

    fn here() -> Self {
        Self::of(HERE)
    }

    fn clerk(&self) -> Ctx {
        self.operator("alice", Role::Clerk)
    }

    fn operator(&self, name: &str, role: Role) -> Ctx {
        let operator = name.parse().unwrap();
        Ctx { caller: Caller { operator, role, area: self.area }, now: NOW }
    }

    async fn arrive(&self, person: PersonDetails) -> Registered {
        registrations::arrive(&self.clerk(), &self.store, arrival(person)).await.unwrap()
    }

    async fn find(&self, person: &PersonDetails) -> Result<Found, AppError> {
        persons::find(&self.clerk(), &self.store, &person.document, LOOKING).await
    }

    /// Entries of the access log so far.
    fn logged(&self) -> u64 {
        self.store.check_access().unwrap().number
    }
}

/// The same context later.
fn later(ctx: &Ctx, by: Duration) -> Ctx {
    Ctx { now: ctx.now.saturating_add(by), ..ctx.clone() }
}

fn today() -> Date {
    NOW.date()
}

/// A made-up person; the same number gives the same person.
fn person(number: usize) -> PersonDetails {
    let mut people = People::new(7, vec![ORIGIN.parse().unwrap()], today());
    people.nth(number).unwrap()
}

fn woman() -> PersonDetails {
    (0..).map(person).find(|person| person.sex == Sex::Female).unwrap()
}

fn stay() -> RegistrationDetails {
    RegistrationDetails {
        arrived_on: "2026-02-20".parse().unwrap(),
        residence_area: "440305003".parse().unwrap(),
        address: Note::optional("科技园路1号").unwrap(),
        origin_area: ORIGIN.parse().unwrap(),
        reason: None,
        certificate: None,
    }
}

fn arrival(person: PersonDetails) -> Arrival {
    Arrival { person, details: stay(), why: None, idempotency_key: String::new() }
}

/// The reason and the field of a refusal.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, AppError>) -> (Reason, String) {
    let error = result.unwrap_err();
    let field = error.refusal().and_then(|refusal| refusal.field.clone());
    (error.reason(), field.unwrap_or_default())
}

/// A small network: a root, two provinces, and what a node of a county signs and checks with.
struct Net {
    root: RootAuthority,
    provinces: Vec<ProvinceAuthority>,
    _dir: TempDir,
}

impl Net {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        let root = RootAuthority::create(&root, &Suffix::default(), NOW).unwrap();
        let province = |code: &str| {
            let at = dir.path().join(code);
            ProvinceAuthority::create(&at, &root, code.parse().unwrap(), NOW).unwrap()
        };
        let provinces = vec![province("410000"), province("440000")];
        Self { root, provinces, _dir: dir }
    }

    fn lists(&self) -> RevocationLists {
        let provinces = self.provinces.iter().map(|ca| ca.revocation_list(NOW).unwrap());
        let lists = provinces.chain([self.root.revocation_list(NOW).unwrap()]);
        RevocationLists::new(lists.collect(), GRACE_DEFAULT)
    }

    fn material(&self, area: &str) -> Arc<TlsMaterial> {
        self.material_with(area, self.lists())
    }

    fn material_with(&self, area: &str, lists: RevocationLists) -> Arc<TlsMaterial> {
        let area: AreaCode = area.parse().unwrap();
        let ours = self.provinces.iter().find(|ca| ca.province() == area.province()).unwrap();
        let asked = request(&CertificateName::Node(area), &Suffix::default()).unwrap();
        let issued = ours.issue_node(&asked.csr_pem, area, NOW).unwrap();
        let chain = vec![issued.der.to_vec(), ours.certificate().to_vec()];
        let identity = Identity::new(chain, asked.key, &Suffix::default()).unwrap();
        let roots = Roots::new(vec![self.root.certificate().clone()]).unwrap();
        let chains = ChainVerifier::new(roots, Suffix::default(), lists);
        Arc::new(TlsMaterial::new(Arc::new(identity), Arc::new(chains)))
    }
}
