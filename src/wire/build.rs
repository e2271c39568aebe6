//! Compiles `proto/` with a compiler written in Rust: a fresh clone needs no `protoc`.

use std::env;
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use prost::Message;
use prost_types::FileDescriptorSet;

const PROTO_DIR: &str = "../../proto";

/// Bytes that are passed on without being copied. Chains stay plain: they are small and rare.
const SHARED_BYTES: [&str; 19] = [
    ".liangdi.exchange.v1.Envelope",
    ".liangdi.exchange.v1.Parcel.manifest",
    ".liangdi.exchange.v1.Parcel.signature",
    ".liangdi.exchange.v1.Receipt.manifest",
    ".liangdi.exchange.v1.Receipt.signature",
    ".liangdi.exchange.v1.Receipt.dispositions",
    ".liangdi.exchange.v1.CustodyReceipt.manifest",
    ".liangdi.exchange.v1.CustodyReceipt.signature",
    ".liangdi.exchange.v1.SignedNodeCard.card",
    ".liangdi.exchange.v1.SignedNodeCard.signature",
    ".liangdi.exchange.v1.SyncDirectoryRequest.cursor",
    ".liangdi.exchange.v1.SyncDirectoryResponse.cursor",
    ".liangdi.exchange.v1.EvidenceFile.header",
    ".liangdi.exchange.v1.EvidenceFile.sealed",
    ".liangdi.exchange.v1.ParcelProof.manifest",
    ".liangdi.exchange.v1.ParcelProof.signature",
    ".liangdi.exchange.v1.ReceiptProof.manifest",
    ".liangdi.exchange.v1.ReceiptProof.signature",
    ".liangdi.exchange.v1.ReceiptProof.disposition",
];

/// Packages whose messages may hold personal data: their `Debug` says the name of the message and no more.
const MASKED: [(&str, &str); 2] =
    [("liangdi.message.v1", "message"), ("liangdi.office.v1", "office")];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={PROTO_DIR}");
    let mut protos = Vec::new();
    find_protos(Path::new(PROTO_DIR), &mut protos)?;
    protos.sort();
    let files = protox::compile(&protos, [PROTO_DIR])?;
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out_dir.join("masked.rs"), masked_debug(&files)?)?;
    fs::write(out_dir.join("descriptors.bin"), without_comments(&files).encode_to_vec())?;
    let generator =
        SHARED_BYTES.iter().fold(tonic_prost_build::configure(), |g, path| g.bytes(path));
    generator.skip_debug(masked_names(&files)).compile_fds(files)?;
    Ok(())
}

fn find_protos(dir: &Path, found: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            find_protos(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            found.push(path);
        }
    }
    Ok(())
}

/// Full names of the messages that print masked, with the leading dot.
fn masked_names(files: &FileDescriptorSet) -> Vec<String> {
    masked_messages(files).map(|(package, _, name, _)| format!(".{package}.{name}")).collect()
}

/// `impl Debug` for the messages that print masked, and for their oneofs.
fn masked_debug(files: &FileDescriptorSet) -> Result<String, Box<dyn Error>> {
    let mut code = String::new();
    for (_, module, name, oneofs) in masked_messages(files) {
        write_debug(&mut code, &format!("{module}::{name}"), name)?;
        for oneof in oneofs {
            let path = format!("{module}::{}::{}", snake_case(name), upper_camel_case(&oneof));
            write_debug(&mut code, &path, &format!("{name}.{oneof}"))?;
        }
    }
    Ok(code)
}

fn write_debug(code: &mut String, path: &str, shown: &str) -> std::fmt::Result {
    writeln!(
        code,
        "impl ::core::fmt::Debug for {path} {{\n    \
         fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{\n        \
         f.write_str(\"{shown} {{ .. }}\")\n    }}\n}}"
    )
}

/// Package, module, name and oneofs of every message that prints masked. There are no nested messages
/// in these packages; one that came would not compile without `Debug`.
fn masked_messages(
    files: &FileDescriptorSet,
) -> impl Iterator<Item = (&str, &'static str, &str, Vec<String>)> {
    files.file.iter().flat_map(|file| {
        let masked = MASKED.iter().find(|(package, _)| *package == file.package());
        masked.into_iter().flat_map(move |&(_, module)| {
            file.message_type.iter().map(move |message| {
                // A `proto3 optional` field is a oneof to the compiler, but not to us.
                let is_real = |at: usize| {
                    message.field.iter().any(|field| {
                        field.oneof_index.and_then(|index| usize::try_from(index).ok()) == Some(at)
                            && !field.proto3_optional()
                    })
                };
                let oneofs = message.oneof_decl.iter().enumerate();
                let real = oneofs.filter(|(at, _)| is_real(*at));
                let names = real.map(|(_, oneof)| oneof.name().to_owned()).collect();
                (file.package(), module, message.name(), names)
            })
        })
    })
}

/// What reflection serves: the definitions without the comments, which are a third of the bytes.
fn without_comments(files: &FileDescriptorSet) -> FileDescriptorSet {
    let mut files = files.clone();
    files.file.iter_mut().for_each(|file| file.source_code_info = None);
    files
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for (at, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

fn upper_camel_case(name: &str) -> String {
    let capital = |word: &str| {
        let (first, rest) = word.split_at(1.min(word.len()));
        first.to_ascii_uppercase() + rest
    };
    name.split('_').map(capital).collect()
}
