//! Heads of HTTP/1.1 as they come and go.

/// As a vendor's server asks: 500 bytes.
pub(crate) const REQUEST: &str = "GET /oneroster/users?limit=100&offset=200&filter=role%3D%27student%27 HTTP/1.1\r\n\
    host: school.example\r\n\
    user-agent: Vendor-Integration/4.2 (https://vendor.example/contact; ops@vendor.example)\r\n\
    accept: application/json\r\n\
    accept-encoding: gzip, deflate, br\r\n\
    accept-language: nl-NL,nl;q=0.9,en;q=0.8\r\n\
    authorization: Bearer fake-token-of-a-vendor-not-for-use-fake-token-of-a-vendor-not-for-use\r\n\
    x-request-id: 7d1f8a52-3f0c-4a5e-9b7e-0c9b3f1e2d44\r\n\
    cache-control: no-cache, private\r\n\
    connection: keep-alive\r\n\r\n";

/// As a school answers.
pub(crate) const ANSWER: &str = "HTTP/1.1 200 OK\r\n\
    content-type: application/json; charset=utf-8\r\n\
    content-length: 5\r\n\
    date: Wed, 21 Oct 2026 07:28:00 GMT\r\n\
    etag: W/\"5f2c-7d1f8a523f0c4a5e9b7e0c9b3f1e2d44\"\r\n\
    strict-transport-security: max-age=31536000; includeSubDomains\r\n\
    x-request-id: 7d1f8a52-3f0c-4a5e-9b7e-0c9b3f1e2d44\r\n\
    vary: accept-encoding, authorization\r\n\r\n{...}";
