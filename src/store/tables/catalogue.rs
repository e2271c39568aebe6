//! How a table is written down once: as a constant, and as a line of the catalogue.

macro_rules! catalogue {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $descriptor:expr;)*) => {
        $($(#[$doc])* pub const $name: $type = $descriptor;)*

        /// Every table of this version, in the order of the file.
        pub static CATALOGUE: &[TableInfo] = &[$($name.info()),*];
    };
}
