/* SPDX-License-Identifier: MIT */
#include <braid/error.h>

const char *braid_strerror(int error)
{
    switch ((enum braid_error)error) {
    case BRAID_OK:
        return "closed in order";
    case BRAID_ERR_PROTOCOL:
        return "protocol error";
    case BRAID_ERR_VERSION:
        return "no protocol version in common";
    case BRAID_ERR_UNKNOWN_SESSION:
        return "unknown session";
    case BRAID_ERR_TOKEN:
        return "wrong token";
    case BRAID_ERR_LIMIT:
        return "too many sessions or subflows";
    case BRAID_ERR_FINISHED:
        return "session already finished";
    case BRAID_ERR_MEMORY:
        return "out of memory";
    case BRAID_ERR_TIMEOUT:
        return "no answer in time";
    case BRAID_ERR_GRACE:
        return "no subflow within the grace time";
    case BRAID_ERR_SHUTDOWN:
        return "endpoint is stopping";
    case BRAID_ERR_INSTANCE:
        return "remote endpoint was restarted";
    case BRAID_ERR_SILENT:
        return "subflow went silent";
    case BRAID_ERR_SUBFLOW_LOST:
        return "subflow lost";
    case BRAID_ERR_INVALID:
        return "invalid argument";
    case BRAID_ERR_SYSTEM:
        return "system error";
    case BRAID_ERR_SECURITY:
        return "security not acceptable";
    case BRAID_ERR_TRUNCATED:
        return "ended early: bytes are missing, or the peer did not say that it was all";
    case BRAID_ERR_RESET:
        return "connection reset";
    case BRAID_ERR_UNREACHABLE:
        return "target unreachable";
    case BRAID_ERR_REFUSED:
        return "connection refused by the target";
    case BRAID_ERR_TIMED_OUT:
        return "target did not answer";
    case BRAID_ERR_NAME:
        return "name could not be resolved";
    case BRAID_ERR_POLICY:
        return "target not allowed";
    }
    return "unknown error";
}
