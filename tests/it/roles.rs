//! Every call of the office API with every role, against a running node: allowed or refused as docs/roles.md says.

use domain::access::Role;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use crate::support::network::Network;
use crate::support::office;

const HOME: &str = "410522";
const PAGE: &str = include_str!("../../docs/roles.md");

/// A line of the page: the call, and which roles may make it, in the order of the columns.
fn lines() -> Vec<(String, Vec<bool>)> {
    let calls = PAGE.lines().filter(|line| line.starts_with("| ") && line.contains("Service."));
    calls
        .map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            let call = cells.next().unwrap().replace('.', "/");
            let roles = cells.skip(1).map(|cell| cell == "yes").collect();
            (format!("/liangdi.office.v1.{call}"), roles)
        })
        .collect()
}

/// Makes a call with an empty request; the code of the catalogue that it ends with, empty for none.
async fn ends_with(office: &liangdi::cli::connect::Office, path: &str) -> (Code, String) {
    let mut client = tonic::client::Grpc::new(office.channel());
    client.ready().await.unwrap();
    let codec: ProstCodec<(), ()> = ProstCodec::default();
    let path = PathAndQuery::try_from(path).unwrap();
    // To the server a call that has one answer looks the same.
    let answer = client.server_streaming(Request::new(()), path, codec).await;
    let status = match answer {
        Err(status) => status,
        Ok(answer) => match answer.into_inner().message().await {
            Ok(_) => return (Code::Ok, String::new()),
            Err(status) => status,
        },
    };
    (status.code(), office::code(&status))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_is_allowed_to_the_roles_of_the_page_and_to_nobody_else() {
    let network = Network::new();
    let mut node = network.node(HOME, &[]);
    node.start();
    let lines = lines();
    assert!(lines.len() > 40, "the page has a table");
    let mut wrong = Vec::new();
    for (column, role) in Role::ALL.iter().enumerate() {
        let operator = office::connect(&network.operator("wei", HOME, *role)).await;
        for (path, roles) in &lines {
            let (code, reason) = ends_with(&operator, path).await;
            assert!(code != Code::Unimplemented, "{path} is not there");
            assert!(code != Code::Unauthenticated, "{path}: {reason}");
            let refused = reason == "ROLE_REQUIRED";
            if refused == roles[column] {
                wrong.push(format!("{role:?} {path}: {code:?} {reason}"));
            }
        }
    }
    assert!(wrong.is_empty(), "not as docs/roles.md says:\n{}", wrong.join("\n"));
    node.never_panicked();
}
