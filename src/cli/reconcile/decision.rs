//! Both versions of a message of which two sides hold something else.

use domain::id::MessageId;
use domain::time::UnixMillis;
use serde_json::json;

use super::super::connect::{Office, office};
use super::super::exit::Failure;
use super::super::given::AccessArgs;
use super::super::output::{Answer, time};
use super::super::view::{self, pair};
use super::sides;

/// Shows them side by side, as far as this office may see them.
pub(super) async fn show(
    office: &Office,
    message: MessageId,
    access: &AccessArgs,
) -> Result<Answer, Failure> {
    let access = Some(access.read());
    let request = office::GetDecisionRequest { message_id: message.to_string(), access };
    let response = office.reconcile().get_decision(request).await?.into_inner();
    let versions = [&response.sender_version, &response.recipient_version];
    let contents = versions.map(|version| version.as_ref().and_then(|it| it.content.as_ref()));
    let lines = pair::lines(contents);
    let mut text = response.difference.as_ref().map(sides).unwrap_or_default();
    for told in [told_of_sender(&response), told_of_recipient(&response)] {
        text.push_str(&format!("\n{told}\n"));
    }
    if !lines.is_empty() {
        text.push_str(&format!("\n{}", pair::text(&lines)));
    }
    let state = response.difference.as_ref().map(|it| it.state.as_str()).unwrap_or_default();
    if state == "OPEN" {
        text.push_str(&format!(
            "\n商定后: liangdi reconcile decide {message} --reason …；以发方为准而收方有误的，由发方另发新通报，或以更正、作废了结。\nWhen both offices have agreed: liangdi reconcile decide {message} --reason …. Nothing is overwritten: what is to hold is sent as a new message, or corrected or voided in its case.\n"
        ));
    }
    let mut json = view::answer(&response).json;
    if let Some(object) = json.as_object_mut() {
        object.insert("fields".to_owned(), json!(pair::json(&lines)));
    }
    Ok(Answer::new(json, text))
}

fn told_of_sender(response: &office::GetDecisionResponse) -> String {
    let (ours, theirs) = (&response.sender_version, &response.recipient_version);
    match (ours, theirs) {
        (Some(ours), _) if ours.content.is_none() => {
            "发方：内容已按期删除或已随撤回同意删除。\nSender: the content was deleted since."
        }
        (Some(_), _) => "发方：本局留存的版本。\nSender: the version that this office keeps.",
        (None, Some(_)) => {
            "发方：其版本只在发方办公室可见；双方版本由发方对照。\nSender: its version is seen at the sender's office alone, which looks at both."
        }
        (None, None) => {
            "内容只在两县可见，省级不留存。\nContent is seen in the two counties alone; this office has none of it."
        }
    }
    .to_owned()
}

fn told_of_recipient(response: &office::GetDecisionResponse) -> String {
    let (ours, theirs) = (&response.sender_version, &response.recipient_version);
    let Some(theirs) = theirs else {
        return if ours.is_some() {
            "收方：尚未出示其版本；其节点可联系后自动出示。\nRecipient: it has not shown its version yet; its node does so by itself when it can be reached."
        } else {
            ""
        }
        .to_owned();
    };
    let at = |millis| time(UnixMillis::new(millis));
    let mut told = match theirs.version_proof() {
        office::VersionProof::SignedBySender => format!(
            "收方：所出示的版本有发方证书签名（{}，指纹 {}），收方于{}签收。\nRecipient: what it shows is signed by the sender's own certificate ({}, fingerprint {}); it has signed that it stored it at {}.",
            at(theirs.signed_ms),
            theirs.version_signer,
            at(theirs.stored_ms),
            at(theirs.signed_ms),
            theirs.version_signer,
            at(theirs.stored_ms),
        ),
        office::VersionProof::NotSignedBySender => "收方：所出示的版本没有发方的有效签名；收方已签名声称收到，发方并未签发。\nRecipient: what it shows is NOT SIGNED by the sender. The recipient has signed that it stored this; no certificate of the sender's that holds has.".to_owned(),
        office::VersionProof::Own | office::VersionProof::Unspecified => {
            "收方：本局留存的版本。\nRecipient: the version that this office keeps.".to_owned()
        }
    };
    if !theirs.as_compared {
        told.push_str("\n收方出示的并非其上报的版本：请其核查上报。\nWhat it shows is not what it has reported: its report is to be looked at.");
    }
    if ours.as_ref().is_some_and(|ours| ours.digest == theirs.digest) {
        told.push_str("\n双方所持相同。\nBoth hold the same.");
    } else if theirs.content.is_none() {
        told.push_str("\n其内容已删除。\nIts content was deleted.");
    }
    told
}
