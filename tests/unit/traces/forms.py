"""Arrivals as text, in the forms of traces that people have."""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta, timezone

from tests.unit.trace_cases import ZERO, iso, lines

INDIA = timezone(timedelta(hours=5, minutes=30))


def unix_ms(ms: int) -> int:
    return int(ZERO.timestamp() * 1000) + ms


FORMS: dict[str, Callable[[Sequence[int]], str]] = {
    "seconds": lambda all_ms: lines("arrival_s", *(f"{ms / 1000:.3f}" for ms in all_ms)),
    "unix": lambda all_ms: lines("timestamp", *(f"{unix_ms(ms) / 1000:.3f}" for ms in all_ms)),
    "unix ms": lambda all_ms: lines("timestamp", *map(unix_ms, all_ms)),
    "unix us": lambda all_ms: lines("time", *(unix_ms(ms) * 1000 for ms in all_ms)),
    "unix ns": lambda all_ms: lines("Time", *(unix_ms(ms) * 1_000_000 for ms in all_ms)),
    "name says ms": lambda all_ms: lines("arrival_ms", *all_ms),
    "name says Ms": lambda all_ms: lines("timestampMs", *all_ms),
    "name in brackets": lambda all_ms: lines("time (ms),n", *(f"{ms},x" for ms in all_ms)),
    "JMeter": lambda all_ms: lines(
        "timeStamp,elapsed,label,responseCode", *(f"{unix_ms(ms)},17,GET,200" for ms in all_ms)
    ),
    "ISO": lambda all_ms: lines("timestamp,model", *(f"{iso(ms)}Z,m" for ms in all_ms)),
    "ISO without a zone": lambda all_ms: lines("time", *(iso(ms, between=" ") for ms in all_ms)),
    "ISO, basic form": lambda all_ms: lines(
        "time", *(iso(ms).replace("-", "").replace(":", "") + "Z" for ms in all_ms)
    ),
    "ISO elsewhere": lambda all_ms: lines(
        "zone,time", *(f"x,{iso(ms, INDIA)}+05:30" for ms in all_ms)
    ),
    "nine digits": lambda all_ms: lines("time", *(iso(ms, digits=9) + "Z" for ms in all_ms)),
    "slashes": lambda all_ms: lines("time", *(iso(ms).replace("-", "/") for ms in all_ms)),
    "Azure 2023": lambda all_ms: lines(
        "TIMESTAMP,ContextTokens,GeneratedTokens",
        *(f"{iso(ms, between=' ', digits=7)},4808,10" for ms in all_ms),
    ),
    "Azure 2024": lambda all_ms: lines(
        "TIMESTAMP,ContextTokens,GeneratedTokens",
        *(f"{iso(ms, between=' ', digits=6)}+00:00,2162,5" for ms in all_ms),
    ),
    "BurstGPT": lambda all_ms: lines(
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type",
        *(f"{ms / 1000:.3f},ChatGPT,472,18,490,Conversation log" for ms in all_ms),
    ),
    "Mooncake": lambda all_ms: lines(
        *(
            json.dumps({"timestamp": ms, "input_length": 6758, "output_length": 50, "hash_ids": [1]})
            for ms in all_ms
        )
    ),
    "JSON Lines with dates": lambda all_ms: lines(
        "", *(json.dumps({"model": "m", "time": f"{iso(ms)}Z"}) for ms in all_ms)
    ),
    "k6 in ms": lambda all_ms: lines(
        "metric_name,timestamp,metric_value,check,error",
        *(
            f"{name},{unix_ms(ms)},{value},,"
            # k6 writes samples of several users in no strict order.
            for ms in sorted(all_ms, reverse=True)
            for name, value in (("http_reqs", 1), ("http_req_duration", 21.5), ("vus", 7))
        ),
    ),
}  # fmt: skip
