"""A calibration as `scalelag run --calibrate` writes it: 10 rps a replica, of one stage."""

from typing import Any

CALIBRATION: dict[str, Any] = {
    "slo": "p95<400ms",
    "deployments": ["default/Sleeper"],
    "capacity_rps": 10.0,
    "exceeded_rps": 11.0,
    "complete": True,
    "reason": None,
    "stages": [
        {
            "load": {"level": 4, "unit": "rps"},
            "hold_s": 15,
            "planned": 60,
            "failed": 0,
            "not_sent": 0,
            "completed_rps": 4.0,
            "within_ratio": 1.0,
            "latency_ms": 200.0,
            "kept": True,
            "reason": None,
            "record": "stage-1",
        }
    ],
}
