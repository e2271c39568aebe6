//! Certificates (婚育证明): the origin area issues them.
