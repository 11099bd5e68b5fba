//! What a client that knows nothing newer than TLS 1.1 says first (RFC 4346, section 7.4.1.2). No library makes one any
//! more, and a server has to refuse it.

/// The ClientHello of TLS 1.1, with the name of the server that is meant.
#[must_use]
pub fn client_hello_of_tls_11(host: &str) -> Vec<u8> {
    const VERSION: [u8; 2] = [3, 2];
    // TLS_RSA_WITH_AES_128_CBC_SHA and TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA.
    const CIPHER_SUITES: [u8; 4] = [0x00, 0x2f, 0xc0, 0x09];
    let name = list(2, &[&[0][..], &list(2, host.as_bytes())].concat());
    let extensions = list(2, &[&[0, 0][..], &list(2, &name)].concat());
    // The random bytes of a hello that nobody answers need not be random.
    let body = [&VERSION[..], &[7; 32], &list(1, &[]), &list(2, &CIPHER_SUITES), &list(1, &[0]), &extensions];
    let message = [&[1][..], &list(3, &body.concat())].concat();
    [&[22][..], &VERSION, &list(2, &message)].concat()
}

/// A list after its length, in so many bytes.
fn list(length_bytes: usize, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_be_bytes();
    let length = length.get(length.len() - length_bytes..).unwrap_or_default();
    [length, content].concat()
}
