//! ESP-IDF's error names and numbers, as far as an OTA client meets them, and lwIP's errno texts.
//!
//! Source: ESP-IDF documentation, "Error Codes Reference"; newlib's errno numbers as lwIP uses them.

/// An ESP-IDF error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
#[allow(missing_docs, reason = "the names are ESP-IDF's, documented there")]
pub enum EspError {
    NoMem = 0x101,
    InvalidArg = 0x102,
    InvalidSize = 0x104,
    NotFound = 0x105,
    InvalidResponse = 0x108,
    OtaPartitionConflict = 0x1501,
    OtaSelectInfoInvalid = 0x1502,
    OtaValidateFailed = 0x1503,
    HttpMaxRedirect = 0x7001,
    HttpConnect = 0x7002,
    HttpWriteData = 0x7003,
    HttpFetchHeader = 0x7004,
    HttpInvalidTransport = 0x7005,
    HttpEagain = 0x7007,
    HttpConnectionClosed = 0x7008,
    HttpReadTimeout = 0x700b,
    HttpIncompleteData = 0x700c,
    TlsCannotResolveHostname = 0x8001,
    TlsCannotCreateSocket = 0x8002,
    TlsFailedConnectToHost = 0x8004,
    TlsConnectionTimeout = 0x8006,
    MbedtlsSslSetupFailed = 0x8017,
    MbedtlsSslHandshakeFailed = 0x801a,
}

impl EspError {
    /// The number.
    #[must_use]
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The name, as `esp_err_to_name` gives it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoMem => "ESP_ERR_NO_MEM",
            Self::InvalidArg => "ESP_ERR_INVALID_ARG",
            Self::InvalidSize => "ESP_ERR_INVALID_SIZE",
            Self::NotFound => "ESP_ERR_NOT_FOUND",
            Self::InvalidResponse => "ESP_ERR_INVALID_RESPONSE",
            Self::OtaPartitionConflict => "ESP_ERR_OTA_PARTITION_CONFLICT",
            Self::OtaSelectInfoInvalid => "ESP_ERR_OTA_SELECT_INFO_INVALID",
            Self::OtaValidateFailed => "ESP_ERR_OTA_VALIDATE_FAILED",
            Self::HttpMaxRedirect => "ESP_ERR_HTTP_MAX_REDIRECT",
            Self::HttpConnect => "ESP_ERR_HTTP_CONNECT",
            Self::HttpWriteData => "ESP_ERR_HTTP_WRITE_DATA",
            Self::HttpFetchHeader => "ESP_ERR_HTTP_FETCH_HEADER",
            Self::HttpInvalidTransport => "ESP_ERR_HTTP_INVALID_TRANSPORT",
            Self::HttpEagain => "ESP_ERR_HTTP_EAGAIN",
            Self::HttpConnectionClosed => "ESP_ERR_HTTP_CONNECTION_CLOSED",
            Self::HttpReadTimeout => "ESP_ERR_HTTP_READ_TIMEOUT",
            Self::HttpIncompleteData => "ESP_ERR_HTTP_INCOMPLETE_DATA",
            Self::TlsCannotResolveHostname => "ESP_ERR_ESP_TLS_CANNOT_RESOLVE_HOSTNAME",
            Self::TlsCannotCreateSocket => "ESP_ERR_ESP_TLS_CANNOT_CREATE_SOCKET",
            Self::TlsFailedConnectToHost => "ESP_ERR_ESP_TLS_FAILED_CONNECT_TO_HOST",
            Self::TlsConnectionTimeout => "ESP_ERR_ESP_TLS_CONNECTION_TIMEOUT",
            Self::MbedtlsSslSetupFailed => "ESP_ERR_MBEDTLS_SSL_SETUP_FAILED",
            Self::MbedtlsSslHandshakeFailed => "ESP_ERR_MBEDTLS_SSL_HANDSHAKE_FAILED",
        }
    }
}

/// newlib's text of an lwIP errno.
#[must_use]
pub fn strerror(errno: i32) -> &'static str {
    match errno {
        11 => "No more processes",
        12 => "Not enough space",
        23 => "Too many open files in system",
        32 => "Broken pipe",
        104 => "Connection reset by peer",
        113 => "Software caused connection abort",
        116 => "Connection timed out",
        118 => "Host is unreachable",
        128 => "Socket is not connected",
        _ => "Unknown error",
    }
}
