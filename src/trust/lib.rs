//! Keys and names: certificates, revocation, TLS, seals, signatures and printed certificates.
//!
//! No socket, no database and no message is known here. Time is an argument everywhere except
//! inside a handshake, where the TLS library asks a clock that it is given.

pub mod name;

mod cache;
pub mod certificate;
mod files;
pub mod key;

pub mod authority;
pub mod crl;
pub mod describe;
pub mod leaf;

pub mod refused;
pub mod verify;

pub mod card;
pub mod sign;
pub mod tls;

pub mod seal;

pub mod credential;

pub use files::FileError;

#[cfg(test)]
mod samples;
