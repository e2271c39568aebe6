//! `Debug` for records about persons: names the type and the fields that are safe in a log.

/// Implements `Debug` with the fields named and leaves the others out.
macro_rules! masked {
    ($name:ident { $($field:ident),* }) => {
        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(stringify!($name))
                    $( .field(stringify!($field), &self.$field) )*
                    .finish_non_exhaustive()
            }
        }
    };
}
pub(crate) use masked;
