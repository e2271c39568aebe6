//! Modules of the node, in reading order.
