//! ESP-IDF's error numbers and lwIP's errno, by name and by number.
//!
//! Numbers and names are those of ESP-IDF's public headers (`esp_err.h`, `esp_http_client.h`, `esp_tls_errors.h`,
//! `esp_ota_ops.h`, `nvs.h`, `esp_wifi.h`); errno is newlib's numbering with newlib's `strerror` texts, which is what
//! ESP-IDF's lwIP prints. The numbers differ from Linux: host unreachable is 118 there, 113 here.

/// ESP_ERR_* numbers and names, ascending by number within each family.
const ESP_ERRORS: &[(i64, &str)] = &[
    (-1, "ESP_FAIL"),
    (0, "ESP_OK"),
    (0x101, "ESP_ERR_NO_MEM"),
    (0x102, "ESP_ERR_INVALID_ARG"),
    (0x103, "ESP_ERR_INVALID_STATE"),
    (0x104, "ESP_ERR_INVALID_SIZE"),
    (0x105, "ESP_ERR_NOT_FOUND"),
    (0x106, "ESP_ERR_NOT_SUPPORTED"),
    (0x107, "ESP_ERR_TIMEOUT"),
    (0x108, "ESP_ERR_INVALID_RESPONSE"),
    (0x109, "ESP_ERR_INVALID_CRC"),
    (0x10a, "ESP_ERR_INVALID_VERSION"),
    (0x10b, "ESP_ERR_INVALID_MAC"),
    (0x10c, "ESP_ERR_NOT_FINISHED"),
    (0x10d, "ESP_ERR_NOT_ALLOWED"),
    (0x1101, "ESP_ERR_NVS_NOT_INITIALIZED"),
    (0x1102, "ESP_ERR_NVS_NOT_FOUND"),
    (0x1103, "ESP_ERR_NVS_TYPE_MISMATCH"),
    (0x1104, "ESP_ERR_NVS_READ_ONLY"),
    (0x1105, "ESP_ERR_NVS_NOT_ENOUGH_SPACE"),
    (0x1106, "ESP_ERR_NVS_INVALID_NAME"),
    (0x1107, "ESP_ERR_NVS_INVALID_HANDLE"),
    (0x1108, "ESP_ERR_NVS_REMOVE_FAILED"),
    (0x1109, "ESP_ERR_NVS_KEY_TOO_LONG"),
    (0x110a, "ESP_ERR_NVS_PAGE_FULL"),
    (0x110b, "ESP_ERR_NVS_INVALID_STATE"),
    (0x110c, "ESP_ERR_NVS_INVALID_LENGTH"),
    (0x110d, "ESP_ERR_NVS_NO_FREE_PAGES"),
    (0x110e, "ESP_ERR_NVS_VALUE_TOO_LONG"),
    (0x110f, "ESP_ERR_NVS_PART_NOT_FOUND"),
    (0x1110, "ESP_ERR_NVS_NEW_VERSION_FOUND"),
    (0x1501, "ESP_ERR_OTA_PARTITION_CONFLICT"),
    (0x1502, "ESP_ERR_OTA_SELECT_INFO_INVALID"),
    (0x1503, "ESP_ERR_OTA_VALIDATE_FAILED"),
    (0x1504, "ESP_ERR_OTA_SMALL_SEC_VER"),
    (0x1505, "ESP_ERR_OTA_ROLLBACK_FAILED"),
    (0x1506, "ESP_ERR_OTA_ROLLBACK_INVALID_STATE"),
    (0x3001, "ESP_ERR_WIFI_NOT_INIT"),
    (0x3002, "ESP_ERR_WIFI_NOT_STARTED"),
    (0x3003, "ESP_ERR_WIFI_NOT_STOPPED"),
    (0x3004, "ESP_ERR_WIFI_IF"),
    (0x3005, "ESP_ERR_WIFI_MODE"),
    (0x3006, "ESP_ERR_WIFI_STATE"),
    (0x3007, "ESP_ERR_WIFI_CONN"),
    (0x3008, "ESP_ERR_WIFI_NVS"),
    (0x3009, "ESP_ERR_WIFI_MAC"),
    (0x300a, "ESP_ERR_WIFI_SSID"),
    (0x300b, "ESP_ERR_WIFI_PASSWORD"),
    (0x300c, "ESP_ERR_WIFI_TIMEOUT"),
    (0x300d, "ESP_ERR_WIFI_WAKE_FAIL"),
    (0x300e, "ESP_ERR_WIFI_WOULD_BLOCK"),
    (0x300f, "ESP_ERR_WIFI_NOT_CONNECT"),
    (0x7001, "ESP_ERR_HTTP_MAX_REDIRECT"),
    (0x7002, "ESP_ERR_HTTP_CONNECT"),
    (0x7003, "ESP_ERR_HTTP_WRITE_DATA"),
    (0x7004, "ESP_ERR_HTTP_FETCH_HEADER"),
    (0x7005, "ESP_ERR_HTTP_INVALID_TRANSPORT"),
    (0x7006, "ESP_ERR_HTTP_CONNECTING"),
    (0x7007, "ESP_ERR_HTTP_EAGAIN"),
    (0x7008, "ESP_ERR_HTTP_CONNECTION_CLOSED"),
    (0x7009, "ESP_ERR_HTTP_NOT_MODIFIED"),
    (0x700a, "ESP_ERR_HTTP_RANGE_NOT_SATISFIABLE"),
    (0x700b, "ESP_ERR_HTTP_READ_TIMEOUT"),
    (0x700c, "ESP_ERR_HTTP_INCOMPLETE_DATA"),
    (0x8001, "ESP_ERR_ESP_TLS_CANNOT_RESOLVE_HOSTNAME"),
    (0x8002, "ESP_ERR_ESP_TLS_CANNOT_CREATE_SOCKET"),
    (0x8003, "ESP_ERR_ESP_TLS_UNSUPPORTED_PROTOCOL_FAMILY"),
    (0x8004, "ESP_ERR_ESP_TLS_FAILED_CONNECT_TO_HOST"),
    (0x8005, "ESP_ERR_ESP_TLS_SOCKET_SETOPT_FAILED"),
    (0x8006, "ESP_ERR_ESP_TLS_CONNECTION_TIMEOUT"),
    (0x8007, "ESP_ERR_ESP_TLS_SE_FAILED"),
    (0x8008, "ESP_ERR_ESP_TLS_TCP_CLOSED_FIN"),
    (0x8009, "ESP_ERR_ESP_TLS_SERVER_HANDSHAKE_TIMEOUT"),
    (0x8010, "ESP_ERR_MBEDTLS_CERT_PARTLY_OK"),
    (0x8011, "ESP_ERR_MBEDTLS_CTR_DRBG_SEED_FAILED"),
    (0x8012, "ESP_ERR_MBEDTLS_SSL_SET_HOSTNAME_FAILED"),
    (0x8013, "ESP_ERR_MBEDTLS_SSL_CONFIG_DEFAULTS_FAILED"),
    (0x8014, "ESP_ERR_MBEDTLS_SSL_CONF_ALPN_PROTOCOLS_FAILED"),
    (0x8015, "ESP_ERR_MBEDTLS_X509_CRT_PARSE_FAILED"),
    (0x8016, "ESP_ERR_MBEDTLS_SSL_CONF_OWN_CERT_FAILED"),
    (0x8017, "ESP_ERR_MBEDTLS_SSL_SETUP_FAILED"),
    (0x8018, "ESP_ERR_MBEDTLS_SSL_WRITE_FAILED"),
    (0x8019, "ESP_ERR_MBEDTLS_PK_PARSE_KEY_FAILED"),
    (0x801a, "ESP_ERR_MBEDTLS_SSL_HANDSHAKE_FAILED"),
    (0x9001, "ESP_ERR_HTTPS_OTA_IN_PROGRESS"),
];

/// errno numbers of newlib as lwIP uses them, their names and `strerror` texts.
const ERRNOS: &[(i32, &str, &str)] = &[
    (5, "EIO", "I/O error"),
    (9, "EBADF", "Bad file number"),
    (11, "EAGAIN", "No more processes"),
    (12, "ENOMEM", "Not enough space"),
    (22, "EINVAL", "Invalid argument"),
    (23, "ENFILE", "Too many open files in system"),
    (24, "EMFILE", "File descriptor value too large"),
    (32, "EPIPE", "Broken pipe"),
    (104, "ECONNRESET", "Connection reset by peer"),
    (105, "ENOBUFS", "No buffer space available"),
    (111, "ECONNREFUSED", "Connection refused"),
    (112, "EADDRINUSE", "Address already in use"),
    (113, "ECONNABORTED", "Software caused connection abort"),
    (114, "ENETUNREACH", "Network is unreachable"),
    (115, "ENETDOWN", "Network interface is not configured"),
    (116, "ETIMEDOUT", "Connection timed out"),
    (117, "EHOSTDOWN", "Host is down"),
    (118, "EHOSTUNREACH", "Host is unreachable"),
    (119, "EINPROGRESS", "Connection already in progress"),
    (120, "EALREADY", "Socket already connected"),
    (127, "EISCONN", "Socket is already connected"),
    (128, "ENOTCONN", "Socket is not connected"),
];

/// Texts that other C libraries and newer newlibs print for the same errno.
const ERRNO_ALIASES: &[(i32, &str)] = &[
    (5, "Input/output error"),
    (9, "Bad file descriptor"),
    (11, "Resource temporarily unavailable"),
    (11, "Try again"),
    (12, "Out of memory"),
    (12, "Cannot allocate memory"),
    (24, "Too many open files"),
    (115, "Network is down"),
    (118, "No route to host"),
    (119, "Operation now in progress"),
];

/// The name of an ESP-IDF error number (`0x7002` is `ESP_ERR_HTTP_CONNECT`).
#[must_use]
pub fn name_of(code: i64) -> Option<&'static str> {
    ESP_ERRORS.iter().find(|(number, _)| *number == code).map(|(_, name)| *name)
}

/// The number of an ESP-IDF error name. `ESP_ERR_ESP_TLS_MBEDTLS_*`, as some texts write the mbedTLS errors of
/// ESP-TLS, means `ESP_ERR_MBEDTLS_*`.
#[must_use]
pub fn code_of(name: &str) -> Option<i64> {
    let name = name.trim();
    let find = |name: &str| ESP_ERRORS.iter().find(|(_, known)| *known == name).map(|(code, _)| *code);
    find(name).or_else(|| find(&format!("ESP_ERR_{}", name.strip_prefix("ESP_ERR_ESP_TLS_")?)))
}

/// The symbol of an lwIP errno (104 is `ECONNRESET`).
#[must_use]
pub fn errno_name(errno: i32) -> Option<&'static str> {
    ERRNOS.iter().find(|(number, ..)| *number == errno).map(|(_, name, _)| *name)
}

/// The `strerror` text of an lwIP errno (104 is "Connection reset by peer").
#[must_use]
pub fn errno_text(errno: i32) -> Option<&'static str> {
    ERRNOS.iter().find(|(number, ..)| *number == errno).map(|(.., text)| *text)
}

/// The errno that a number, a symbol (`ECONNRESET`) or a `strerror` text ("Connection reset by peer", in any case)
/// means.
#[must_use]
pub fn errno_of(text: &str) -> Option<i32> {
    let text = text.trim().trim_end_matches('.');
    if let Ok(number) = text.parse::<i32>() {
        return Some(number);
    }
    let known = ERRNOS
        .iter()
        .find(|(_, name, words)| *name == text || words.eq_ignore_ascii_case(text))
        .map(|(number, ..)| *number);
    known
        .or_else(|| ERRNO_ALIASES.iter().find(|(_, words)| words.eq_ignore_ascii_case(text)).map(|(number, _)| *number))
}

/// An error in words: name with number where both are known ("ESP_ERR_HTTP_CONNECT (0x7002)").
#[must_use]
pub fn describe(code: i64) -> String {
    let number = if code < 0 { format!("-0x{:x}", code.unsigned_abs()) } else { format!("0x{code:x}") };
    match name_of(code) {
        Some(name) => format!("{name} ({number})"),
        None => number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_and_number_is_there_once_and_leads_back() {
        let names: BTreeSet<_> = ESP_ERRORS.iter().map(|(_, name)| name).collect();
        let codes: BTreeSet<_> = ESP_ERRORS.iter().map(|(code, _)| code).collect();
        assert_eq!((names.len(), codes.len()), (ESP_ERRORS.len(), ESP_ERRORS.len()));
        for (code, name) in ESP_ERRORS {
            assert_eq!(name_of(*code), Some(*name));
            assert_eq!(code_of(name), Some(*code));
        }
        let numbers: BTreeSet<_> = ERRNOS.iter().map(|(number, ..)| number).collect();
        assert_eq!(numbers.len(), ERRNOS.len());
        for (number, name, text) in ERRNOS {
            assert_eq!(errno_of(name), Some(*number), "{name}");
            assert_eq!(errno_of(text), Some(*number), "{text}");
            assert_eq!((errno_name(*number), errno_text(*number)), (Some(*name), Some(*text)));
        }
    }

    #[test]
    fn the_numbers_of_the_wrong_port_case() {
        assert_eq!(name_of(32772), Some("ESP_ERR_ESP_TLS_FAILED_CONNECT_TO_HOST"));
        assert_eq!(code_of("ESP_ERR_HTTP_CONNECT"), Some(0x7002));
        assert_eq!(errno_of("connection reset by peer"), Some(104));
        assert_eq!(describe(0x7002), "ESP_ERR_HTTP_CONNECT (0x7002)");
        assert_eq!(describe(-0x2700), "-0x2700");
    }

    #[test]
    fn mbedtls_errors_are_found_under_both_spellings() {
        assert_eq!(code_of("ESP_ERR_ESP_TLS_MBEDTLS_SSL_HANDSHAKE_FAILED"), Some(0x801a));
        assert_eq!(code_of("ESP_ERR_MBEDTLS_SSL_HANDSHAKE_FAILED"), Some(0x801a));
        assert_eq!(code_of("ESP_ERR_NO_SUCH_THING"), None);
        assert_eq!(errno_of("no such text"), None);
    }
}
