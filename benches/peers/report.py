"""Tells what was measured: on the screen, as a page, as a picture."""
import datetime
import math

# Of the Okabe-Ito palette, which everybody can tell apart; ours stands out.
COLOURS = {"Sluis": "#d55e00", "nginx, untouched": "#999999", "HAProxy": "#56b4e9", "Envoy": "#0072b2", "nginx + Lua": "#cc79a7"}
BASE = "nginx, untouched"


def ratios(of_case):
    base = of_case[BASE][0]
    return {name: cost / base for name, (cost, _) in of_case.items()}


def print_costs(case, of_case):
    print(f"\n{case}\n{'':28}{'CPU/request':>12}{'× nginx':>10}{'requests/s':>12}")
    for name, ratio in ratios(of_case).items():
        cost, rate = of_case[name]
        print(f"{name:28}{cost:9.1f} µs{ratio:10.2f}{rate:12.0f}", flush=True)


def rest(found):
    one, two = found["threads"]
    late, memory = found["latency"], found["memory"]
    added = [through - direct for through, direct in zip(late["through"], late["direct"])]
    return [
        ("Two threads against one, CPU a request", f"{two / one:.2f} ×", "≤ 1.05 ×"),
        (f"Added to an answer of 10 KB at {late['rate']:.0f} a second, median", f"{added[0]:.2f} ms", "≤ 0.15 ms"),
        ("The same, 99 in 100", f"{added[1]:.2f} ms", "≤ 1 ms"),
        ("From exec to ready, one vendor", f"{found['ready'][0]:.0f} ms", "≤ 100 ms"),
        ("From exec to ready, 50 vendors more with a whole preset each", f"{found['ready'][50]:.0f} ms", "≤ 50 ms"),
        ("Memory, idle", f"{memory['idle'] / 1024:.1f} MiB", "≤ 20 MB"),
        ("Memory at most, a page of 17.6 MB passing", f"{memory['page'] / 1024:.1f} MiB", "≤ 32 MB"),
        ("Each of 10,000 idle connections, plain", f"{memory['plain']:.1f} KiB", "≤ 8 KiB"),
        ("The same, after a request on each", f"{memory['plain, served']:.1f} KiB", "–"),
        ("Each of 10,000 idle connections, TLS", f"{memory['TLS']:.1f} KiB", "≤ 32 KiB"),
        ("The same, after a request on each", f"{memory['TLS, served']:.1f} KiB", "–"),
    ]


def print_rest(found):
    print()
    for what, value, goal in rest(found):
        print(f"{what:62}{value:>12}   goal {goal}")


def colour(name):
    return next(colour for start, colour in COLOURS.items() if name.startswith(start))


def write(folder, found):
    (folder / "benchmarks.md").write_text(page(found))
    (folder / "benchmarks.svg").write_text(picture(found["costs"]))
    if "sizes" in found:
        (folder / "benchmarks-size.svg").write_text(size_picture(*found["sizes"][:2]))


def page(found):
    names = list(dict.fromkeys(name for of_case in found["costs"].values() for name in of_case))
    lines = [
        "# Benchmarks",
        "",
        f"Measured on {datetime.date.today()} by `benches/peers/peers.py` in one run: {found['machine']}. Each proxy on one",
        "thread of a core of its own, load and school on another. CPU time of the proxy for one request, and its ratio to",
        "nginx passing the bytes through; Sluis replaces four identifiers a pupil and keeps 19 of about 50 values.",
        "Its configuration is `benches/peers/config`: in `[limits]` it has what 10,000 connections of one address and a gigabyte need.",
        "No kind of identifier in it has `back`, and no field is a link: neither the register nor the search for what came home",
        "nor the translation of links is in these figures.",
        "",
        "![CPU time for one request as a multiple of nginx passing through](benchmarks.svg)",
        "",
        "| | " + " | ".join(names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for case, of_case in found["costs"].items():
        of_base = ratios(of_case)
        cells = [f"{of_case[name][0]:.1f} µs, {of_base[name]:.2f} ×" if name in of_case else "–" for name in names]
        lines.append(f"| {case} | " + " | ".join(cells) + " |")
    if "threads" in found:
        lines += ["", "| Sluis | measured | goal |", "|---|---|---|"]
        lines += [f"| {what} | {value} | {goal} |" for what, value, goal in rest(found)]
    if "sizes" in found:
        lines += size_lines(*found["sizes"])
    return "\n".join(lines) + "\n"


def length(size):
    """A length in bytes, as people say it."""
    unit, name = next((unit, name) for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "KB")) if size >= unit)
    return f"{float(f'{size / unit:.2g}'):g} {name}"


def time(seconds):
    unit, name = next((unit, name) for unit, name in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")) if seconds >= unit * 0.999)
    return f"{float(f'{seconds / unit:.3g}'):g} {name}"


def size_lines(costs, straight, most):
    fixed, each = straight
    lines = [
        "",
        "## Cost against size",
        "",
        "One request after the other, on one connection; CPU time of the gateway for one answer.",
        f"The line is {time(fixed)} for the request and {1 / each / 1e6:.0f} MB/s for its bytes. Memory at most, over all of",
        f"these: {most / 1024:.1f} MiB.",
        "",
        "![CPU time for one answer against its size](benchmarks-size.svg)",
        "",
        "| answer | CPU time | beside the line |",
        "|---|---|---|",
    ]
    for size, cost in costs.items():
        lines.append(f"| {length(size)} | {time(cost)} | {cost / (fixed + each * size):.2f} × |")
    return lines


def size_picture(costs, straight):
    """Both axes by powers of ten, as many pixels for each."""
    left, top, decade, fixed, each = 70, 40, 56, *straight
    sizes, times = (3, 9.4), (-5, 1)
    right, bottom = left + (sizes[1] - sizes[0]) * decade, top + (times[1] - times[0]) * decade
    across = lambda size: left + (math.log10(size) - sizes[0]) * decade
    down = lambda seconds: bottom - (math.log10(seconds) - times[0]) * decade
    parts = [f'<text x="{left}" y="20" font-weight="bold">CPU time for one answer against its size</text>']
    for power in range(math.ceil(sizes[0]), math.floor(sizes[1]) + 1):
        x = across(10**power)
        parts.append(f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{length(10**power)}</text>')
    for power in range(times[0], times[1] + 1):
        y = down(10.0**power)
        parts.append(f'<line x1="{left}" y1="{y:.1f}" x2="{right:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{time(10.0**power)}</text>')
    steps = [10 ** (sizes[0] + part * (sizes[1] - sizes[0]) / 60) for part in range(61)]
    points = " ".join(f"{across(size):.1f},{down(fixed + each * size):.1f}" for size in steps)
    parts.append(f'<polyline points="{points}" fill="none" stroke="#999999" stroke-width="2"/>')
    for size, cost in costs.items():
        parts.append(f'<circle cx="{across(size):.1f}" cy="{down(cost):.1f}" r="5" fill="{COLOURS["Sluis"]}"/>')
    label = f"{time(fixed)} and {1 / each / 1e6:.0f} MB/s"
    parts.append(f'<text x="{across(10**6) + 14:.1f}" y="{down(fixed + each * 10**6) + 18:.1f}">{label}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right + 30:.0f} {bottom + 34}" '
        'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join(parts) + "\n</svg>\n"
    )


def picture(costs):
    """Bars from zero; one that is longer than the picture is cut and says how long it is."""
    most, left, width, bar = 8.0, 190, 560, 14
    parts, y = [], 34
    for case, of_case in costs.items():
        parts.append(f'<text x="{left - 8}" y="{y + bar * len(of_case) / 2 + 4:.0f}" text-anchor="end">{case}</text>')
        for name, ratio in sorted(ratios(of_case).items(), key=lambda pair: pair[1]):
            length = min(ratio, most) / most * width
            more = " →" if ratio > most else ""
            parts.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{bar - 3}" fill="{colour(name)}"/>')
            label = f"{ratio:.2f} ×{more} {name}"
            inside = length > width * 0.6
            x, anchor = (left + length - 6, "end") if inside else (left + length + 6, "start")
            fill = ' fill="white"' if inside else ""
            parts.append(f'<text x="{x:.1f}" y="{y + bar - 5}" font-size="10" text-anchor="{anchor}"{fill}>{label}</text>')
            y += bar
        y += 14
    one = left + width / most
    axis = f'<line x1="{one}" y1="26" x2="{one}" y2="{y - 8}" stroke="#333" stroke-dasharray="3 3"/>'
    title = f'<text x="{left}" y="16" font-weight="bold">CPU time for one request, as a multiple of nginx passing through (1 ×)</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 190} {y}" '
        'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join([title, *parts, axis]) + "\n</svg>\n"
    )
