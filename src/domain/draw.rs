//! Random re-checks of an office's work: what may be drawn from.

use crate::numbered::numbered;

/// Most items of one draw.
pub const SIZE_MAX: u32 = 500;

numbered! {
    /// What a sample is drawn from.
    pub enum Frame {
        /// Messages of a kind that this office received.
        Received = 1, "RECEIVED", "收到的通报";
        /// Messages of a kind that this office sent.
        Sent = 2, "SENT", "发出的通报";
        /// Registrations that this office entered.
        Registrations = 3, "REGISTRATIONS", "登记";
    }
}
