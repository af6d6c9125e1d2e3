//! Labels of metrics with a fixed set of values; lines of the decision log use the same words.

/// Declares an enum whose variants are the values of a label.
macro_rules! label {
    ($(#[$about:meta])* $name:ident { $($(#[$meaning:meta])* $variant:ident = $value:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$meaning])* $variant,)+
        }

        impl $name {
            /// The label's values, in the order of the variants.
            pub const NAMES: &[&'static str] = &[$($value),+];

            /// The label's value.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $value,)+ }
            }
        }
    };
}

label! {
    /// The outcome of a request.
    RequestOutcome {
        /// The policy allows the request; the gate forwarded it.
        Allow = "allow",
        /// A statement denies the request (explicit deny).
        ExplicitDeny = "explicit-deny",
        /// No statement allows the request (implicit deny).
        ImplicitDeny = "implicit-deny",
        /// The request was malformed, ambiguous, misdirected or over a limit: not decided.
        Refused = "refused",
        /// The client went away before the decision.
        Cancelled = "cancelled",
    }
}

label! {
    /// The reason that a TLS handshake with a client failed.
    TlsFailure {
        /// The handshake took longer than its timeout.
        Timeout = "timeout",
        /// The client sent a server name (SNI) that this listener does not serve.
        Name = "name",
        /// The client refused the certificate, or did not speak TLS.
        Protocol = "protocol",
        /// The connection broke.
        Broken = "broken",
    }
}

label! {
    /// The reason that the gate dropped a client connection before TLS.
    DropReason {
        /// A PROXY protocol header came from an address that is not listed.
        ProxySource = "proxy-source",
        /// A required PROXY protocol header is missing.
        ProxyMissing = "proxy-missing",
        /// A PROXY protocol header cannot be read, or has two readings.
        ProxyMalformed = "proxy-malformed",
        /// A PROXY protocol header took longer than the timeout of the handshake.
        ProxyTimeout = "proxy-timeout",
        /// The load balancer names an endpoint that this listener does not serve.
        EndpointUnknown = "endpoint-unknown",
        /// The client is in no network of the listener's endpoints.
        Network = "network",
        /// Several endpoints are possible, and nothing selects one.
        EndpointUnclear = "endpoint-unclear",
        /// The server name (SNI) belongs to no possible endpoint and to no tunnel.
        Name = "name",
        /// The listener intercepts, and the original destination is the gate itself or an address
        /// that Kinesis cannot have.
        NotIntercepted = "not-intercepted",
        /// The gate itself opened the connection.
        Loop = "loop",
        /// The gate did not reach a tunnel's host.
        Tunnel = "tunnel",
        /// The client already has as many open connections as the limit for each client allows.
        Client = "client",
        /// No permit for a TLS handshake was free within the timeout of a handshake.
        Handshakes = "handshakes",
    }
}

label! {
    /// The limit that a request exceeded.
    LimitHit {
        /// `body-bytes`.
        BodyBytes = "body-bytes",
        /// `body-timeout` or `body-rate`.
        BodyTime = "body-time",
        /// `buffered-bytes`.
        BufferedBytes = "buffered-bytes",
        /// `requests`.
        Requests = "requests",
        /// A rule of `[[rate]]`.
        Rate = "rate",
    }
}
