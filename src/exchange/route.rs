//! Ways to a peer, in order of preference, and small sets of them.

use serde::Deserialize;
use serde::Serialize;

/// A way for parcels to reach a peer. Smaller is better: no relay, then our own, then the peer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Route {
    /// A stream between the two nodes.
    Direct,
    /// The node of our own province takes custody.
    OwnRelay,
    /// The node of the peer's province takes custody.
    PeerRelay,
}

impl Route {
    /// All routes, best first.
    pub const ALL: [Self; 3] = [Self::Direct, Self::OwnRelay, Self::PeerRelay];

    /// Name for logs, for the API and for people who read JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::OwnRelay => "own-relay",
            Self::PeerRelay => "peer-relay",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Direct => 1,
            Self::OwnRelay => 2,
            Self::PeerRelay => 4,
        }
    }
}

/// The routes that lead to a peer just now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Routes(u8);

impl Routes {
    /// No way at all: mail waits until one is found, or leaves by file.
    #[must_use]
    pub const fn none() -> Self {
        Self(0)
    }

    /// The direct route alone.
    #[must_use]
    pub const fn direct() -> Self {
        Self(Route::Direct.bit())
    }

    /// The same and that route.
    #[must_use]
    pub const fn with(self, route: Route) -> Self {
        Self(self.0 | route.bit())
    }

    /// The same but for that route.
    #[must_use]
    pub const fn without(self, route: Route) -> Self {
        Self(self.0 & !route.bit())
    }

    /// Whether the route is one of them.
    #[must_use]
    pub const fn contains(self, route: Route) -> bool {
        self.0 & route.bit() != 0
    }

    /// Whether no route leads to the peer.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The routes, best first.
    pub fn iter(self) -> impl Iterator<Item = Route> {
        Route::ALL.into_iter().filter(move |route| self.contains(*route))
    }
}

impl FromIterator<Route> for Routes {
    fn from_iter<I: IntoIterator<Item = Route>>(routes: I) -> Self {
        routes.into_iter().fold(Self::none(), Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_a_set_in_order_of_preference() {
        let all: Routes = [Route::PeerRelay, Route::Direct, Route::OwnRelay].into_iter().collect();
        assert_eq!(all.iter().collect::<Vec<_>>(), Route::ALL);
        assert!(Route::ALL.is_sorted());
        let relays = all.without(Route::Direct);
        assert!(!relays.contains(Route::Direct) && relays.contains(Route::PeerRelay));
        assert_eq!(relays.with(Route::Direct), all);
        assert_eq!(Routes::direct().without(Route::Direct), Routes::none());
        assert!(Routes::default().is_empty() && !Routes::direct().is_empty());
    }
}
