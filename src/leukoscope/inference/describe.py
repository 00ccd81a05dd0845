"""A bundle in a few lines."""

from collections import Counter

from leukoscope.inference.bundle import Bundle, Check


def describe(bundle: Bundle) -> str:
    """Say what `bundle` holds, and how its graphs were held against its networks."""
    info = bundle.info
    counted = Counter(network.model for network in info.networks)
    networks = ", ".join(f"{count} × {name}" for name, count in counted.items())
    lines = [
        f"bundle: {bundle.folder}",
        f"networks: {networks}, {info.preprocessing.size} × {info.preprocessing.size} pixels"
        + (f", mean over {info.turns} turns" if info.turns > 1 else ""),
        *(_told(name, check) for name, check in info.checks.items()),
    ]
    return "\n".join(lines)


def _told(name: str, check: Check) -> str:
    if check.refused:
        return f"{name}: not in the bundle, for {check.refused}"
    beyond = f", {check.beyond:.1%} of the cells by fp32" if check.beyond else ""
    return (
        f"{name}: on {check.cells:,} validation cells {check.agreement:.2%} of the calls as by the "
        f"networks, log-odds within {check.largest_difference:.2g}, "
        f"AUROC {check.auroc_change:+.4f}{beyond}"
    )
