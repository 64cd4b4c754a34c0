//! What every metric says of itself.

/// The help of a metric; none for a name that is not in the table, which then is ill-formed.
pub(super) fn help(name: &str) -> &'static str {
    let row = HELP.iter().find(|(known, _)| *known == name);
    row.map_or("", |(_, help)| help)
}

/// What every metric says, under its name without the prefix.
const HELP: [(&str, &str); 42] = [
    (
        "aborts_total",
        "Exchanges that were broken off after the head of the answer.",
    ),
    (
        "body_bytes_in_flight",
        "Bytes that all bodies in flight hold together.",
    ),
    (
        "body_bytes_total",
        "Bytes of bodies before (in) and after (out) the policy.",
    ),
    ("bugs_total", "States that Sluis was built never to reach."),
    ("build_info", "1, with the version that runs."),
    (
        "cancellations_total",
        "Requests whose caller went away, or was cut at the end, before its answer was whole.",
    ),
    (
        "config_last_reload_success_timestamp_seconds",
        "When the configuration in force was loaded.",
    ),
    (
        "config_last_reload_successful",
        "Whether the newest configuration is the one in force.",
    ),
    (
        "connections_closed_total",
        "Connections closed by a bound, with nothing wrong with them.",
    ),
    (
        "connections_delayed_total",
        "Connections that waited for a place because there were as many as may be.",
    ),
    (
        "connections_failed_total",
        "Connections that ended in a fault of the wire.",
    ),
    ("connections_open", "Open connections of callers."),
    (
        "connections_refused_total",
        "Connections closed on arrival.",
    ),
    ("fields_total", "What was done to fields and list items."),
    (
        "http_client_request_duration_seconds",
        "Waiting for upstreams: from the request sent to the head of the answer.",
    ),
    (
        "http_server_request_duration_seconds",
        "From the head of a request to the end of its answer.",
    ),
    (
        "key_info",
        "1 for the key in use, and for one that is prepared.",
    ),
    ("log_messages_total", "Log lines written."),
    (
        "metric_series_limited_total",
        "Label sets counted under `other` because there were too many.",
    ),
    ("objection_list_usable", "Whether a list can be used."),
    ("panics_total", "Panics; each ended one exchange."),
    ("policy_info", "1 for the policy in force."),
    (
        "refusals_total",
        "Requests that were refused, by the code in the problem document.",
    ),
    (
        "register_catch_ups_total",
        "Times that a message made the register look for more than it knew.",
    ),
    (
        "register_commit_duration_seconds",
        "Commits of the register, and how long each took.",
    ),
    (
        "register_failures_total",
        "Times the register could not be read or written.",
    ),
    ("register_ids", "Identifiers that the register holds."),
    (
        "register_journal_failures_total",
        "Times the journal beside the register's file could not be written.",
    ),
    (
        "register_last_read_timestamp_seconds",
        "When all there was of the register was read last.",
    ),
    (
        "register_usable",
        "1 if the register did what it was last asked for.",
    ),
    ("request_body_bytes", "Bodies of requests as they came."),
    ("requests_in_flight", "Requests under way."),
    (
        "streams_refused_total",
        "Requests over HTTP/2 that were refused before they were read.",
    ),
    (
        "tls_certificate_expiry_timestamp_seconds",
        "When the certificate of the listener expires; 0 without TLS.",
    ),
    (
        "tls_files_usable",
        "1 if certificates, keys and roots can be used as they lie on disk now.",
    ),
    (
        "transform_duration_seconds",
        "Our own work on the bodies of one exchange.",
    ),
    (
        "unlisted_field_seen_total",
        "Fields outside the policy, each counted when first seen under the configuration in force.",
    ),
    (
        "upstream_certificate_expiry_timestamp_seconds",
        "When the certificate expires that a vendor's upstreams are shown.",
    ),
    (
        "upstream_connections_total",
        "What was done with connections to upstreams.",
    ),
    (
        "upstream_resting",
        "Whether an upstream is left alone because it failed again and again.",
    ),
    (
        "upstream_retries_total",
        "Requests that were sent to an upstream once more.",
    ),
    (
        "upstream_token_fetches_total",
        "Tokens asked for at the token servers of upstreams.",
    ),
];
