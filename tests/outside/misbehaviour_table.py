"""What Redial makes of each misbehaviour: the code of each attempt, one delivery after the other. A `|` stands between codes
of which any will do, where it depends on how fast two sides are.

docs/SECURITY.md, "Receivers that misbehave", tells customers the same in groups.
"""

from __future__ import annotations

# The codes that an attempt may have: shared/domain/src/delivery.rs and outcome.rs.
CODES = {
    "ok",
    "redirect",
    "gone",
    "http_error",
    "blocked",
    "dns_failed",
    "connect_failed",
    "connect_timeout",
    "tls_failed",
    "timeout",
    "connection_closed",
    "protocol_error",
}

ROWS = """
ok: body_huge body_endless body_endless_chunks body_endless_chunk body_endless_chunk_extension body_endless_trailers
ok: body_endless_trailer body_trailers_lie body_chunk_size_overflows body_chunk_size_bad body_chunk_size_negative
ok: body_chunk_end_missing body_gzip_bomb body_gzip_in_gzip body_endless_gzip body_not_gzip body_not_br body_not_zstd
ok: body_not_deflate length_too_long coding_unknown
ok ok: body_after_204 body_after_205 body_after_204_chunked length_too_short length_and_chunked garbage_after_the_answer
ok ok: cookies http_1_0 bare_line_feeds closes_after_the_answer
http_error: body_endless_after_500 body_hostile_text status_999 wants_to_know_us interim_199_then_417
http_error|connection_closed: answers_before_the_body
redirect redirect: body_after_304
protocol_error: length_negative length_signed length_words length_overflows length_hex length_two_different
protocol_error: length_two_in_one interim_with_body interim_101 headers_257 headers_10000 headers_endless
protocol_error: header_line_endless header_name_endless reason_endless empty_lines_endless nul_endless status_words
protocol_error: status_two_digits status_000 version_9 version_http2_in_words icy status_without_http http_0_9 ssh
protocol_error: header_without_name header_name_with_space header_space_before_colon header_with_nul
protocol_error: header_with_bare_cr header_folded
ok: interim_some interim_100_unasked headers_256 header_of_50_kb reason_missing reason_not_text header_not_text
timeout: slow_never_reads slow_never_answers slow_head slow_header slow_head_never_ends slow_hints slow_after_100
timeout: interim_endless_103 interim_endless_100 interim_endless_102
connect_timeout: slow_connect tls_never_answers tls_dripping
ok: slow_body slow_chunks slow_body_never_comes
gone: gone
connection_closed|connect_failed: closes_at_once resets_at_once resets_in_the_request
connection_closed: closes_after_the_request closes_in_the_status closes_in_the_headers resets_after_the_request
connection_closed: resets_in_the_status resets_in_the_headers
ok: closes_before_the_body closes_in_the_body resets_before_the_body resets_in_the_body
ok ok|connection_closed: resets_after_the_answer closes_when_used_again resets_when_used_again
ok|protocol_error|connection_closed: answers_before_the_request
ok http_error: splits_the_answer
ok ok|http_error|protocol_error: splits_the_answer_later
ok ok|http_error|connection_closed: says_408_while_unused
redirect: redirect_300 redirect_301 redirect_302 redirect_303 redirect_305 redirect_307 redirect_308 redirect_to_canary
redirect: redirect_to_canary_without_scheme redirect_to_canary_as_number redirect_to_file redirect_to_gopher
redirect: redirect_to_javascript redirect_to_itself redirect_to_nothing redirect_to_long
ok: moved_by_200 moved_by_201
tls_failed: tls_expired tls_not_yet_valid tls_for_another_host tls_self_signed tls_of_unknown_authority
tls_failed: tls_with_endless_chain tls_knows_no_such_name tls_only_1 tls_only_1_1 tls_wants_our_certificate
tls_failed: tls_hello_of_1_1 tls_garbage tls_nul tls_greets_as_mail tls_answers_plainly tls_alert tls_closes tls_resets
tls_failed: tls_garbage_endless tls_message_endless tls_warnings_endless tls_empty_records_endless
tls_failed: tls_hello_requests_endless tls_cipher_changes_endless tls_plain_after_handshake
ok: tls_with_long_chain tls_1_2 tls_cut_off_body tls_body_endless
connection_closed: tls_ends_without_answer
timeout: tls_slow
connection_closed: h2_goaway_no_error h2_goaway_internal h2_goaway_calm h2_goaway_at_once h2_reset_refused
connection_closed: h2_reset_cancel h2_reset_protocol h2_closes h2_resets
ok: h2_reset_after_200 h2_answers_twice h2_length_lies h2_body_after_204 h2_endless_body h2_endless_empty_data
ok: h2_endless_trailers h2_table_of_4_gb h2_body_never_comes
timeout|connection_closed|protocol_error: h2_endless_settings h2_endless_settings_of_many h2_endless_pings
timeout|connection_closed|protocol_error: h2_endless_ping_answers h2_endless_resets h2_endless_resets_of_nothing
timeout|connection_closed|protocol_error: h2_endless_goaways h2_endless_priorities h2_endless_unknown_frames
timeout|connection_closed|protocol_error: h2_endless_windows_of_one h2_endless_pings_at_once h2_endless_103
timeout|connection_closed|protocol_error: h2_endless_continuation h2_endless_empty_continuation
timeout|connection_closed|protocol_error: h2_endless_data_of_no_stream h2_endless_promises h2_answers_another_stream
protocol_error: h2_hpack_bomb h2_headers_10000 h2_hpack_garbage h2_without_status h2_status_words h2_header_in_capitals
protocol_error: h2_header_of_http1 h2_header_with_line_end h2_settings_wrong h2_frame_too_large h2_window_overflows
protocol_error|connection_closed: h2_speaks_http1
timeout: h2_headers_half h2_says_nothing h2_never_answers h2_window_of_zero h2_no_streams h2_slow_settings
timeout ok: h2_dead_connection
"""

# What wastes the timeout and nothing else: these wait together.
QUIET = ("slow_", "tls_never_answers", "tls_dripping", "tls_slow", "h2_headers_half", "h2_says_nothing", "h2_never")
QUIET += ("h2_window_of_zero", "h2_no_streams", "h2_slow", "h2_answers_another_stream", "h2_body_never_comes")

# The least and the most seconds until the next attempt, of a schedule that waits for 60 and is doubled for nothing: jitter adds
# up to a fifth, and no receiver puts it off for longer than 11.5 hours (docs/LIMITS.md).
SCHEDULED, CLAMPED = (60, 73), (41_400, 41_400)
RETRY_AFTER = {
    "retry_after_0": SCHEDULED,
    "retry_after_negative": SCHEDULED,
    "retry_after_1970": SCHEDULED,
    "retry_after_words": SCHEDULED,
    "retry_after_several": SCHEDULED,
    "retry_after_not_text": SCHEDULED,
    "retry_after_empty": SCHEDULED,
    "retry_after_a_billion": CLAMPED,
    "retry_after_forty_digits": CLAMPED,
    "retry_after_9999": CLAMPED,
}

# Receivers that are right, before and after all others.
GOOD = ("good", "tls_good", "h2_good")


def table() -> dict[str, list[set[str]]]:
    """By kind, for each of its deliveries the codes that will do."""
    found: dict[str, list[set[str]]] = {}
    for line in ROWS.strip().splitlines():
        codes, _, kinds = line.partition(": ")
        for kind in kinds.split():
            assert kind not in found, kind
            found[kind] = [set(code.split("|")) for code in codes.split()]
            assert all(code <= CODES for code in found[kind]), kind
    return found
