/* The log: one line an event on stderr, for journald or a file. Event names are stable, so that an operator
 * can grep and alert on them. Each (module, event) is limited to LOG_BURST lines a second; what was held
 * back is said in the next line that passes ("suppressed=N").
 *
 * Never log key bytes, SDP a=crypto lines or metadata bodies; log lengths and ids. Lcores never log: they
 * count. @thread any but lcore */
#ifndef SRS_LOG_H
#define SRS_LOG_H

enum srs_log_level { SRS_LOG_ERROR, SRS_LOG_WARN, SRS_LOG_INFO, SRS_LOG_DEBUG };

/** Lines above this level are dropped. Called once, at start. */
void srs_log_level_set(enum srs_log_level level);

void srs_log(enum srs_log_level level, const char *module, const char *event, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

/* `format` carries key=value pairs: log_warn("writer", "segment_rotate_failed", "dev=%u err=%s", ...) */
#define log_error(...) srs_log(SRS_LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  srs_log(SRS_LOG_WARN, __VA_ARGS__)
#define log_info(...)  srs_log(SRS_LOG_INFO, __VA_ARGS__)
#define log_debug(...) srs_log(SRS_LOG_DEBUG, __VA_ARGS__)

#endif
