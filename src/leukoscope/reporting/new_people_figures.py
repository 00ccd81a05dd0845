"""Figures of studies that ask how new people are called: numbers with their intervals over people.

A finding goes in, a matplotlib figure comes out.
"""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from leukoscope.reporting.figures import legend
from leukoscope.reporting.style import (
    INK,
    MODEL_COLOURS,
    MODEL_MARKERS,
    MUTED,
    RULE,
    SPLIT_NAMES,
    STYLE,
)
from leukoscope.studies.finding import Finding

PROTOCOLS = {
    "people": "New people\n(each tested once)",
    "pictures": "Other pictures of\nthe people trained on",
    "lab": "The same, with the lab's copies,\nvalidation's among them",
}
"""Of the study of leakage, from the fairest."""

SUBSETS = {"people": "fewer people", "cells": "fewer cells of each"}
"""Of the study of people."""

BARS = {"validation": "#dde6ee", "test": MODEL_COLOURS[0]}


def leakage(finding: Finding) -> Figure:
    """Draw validation and test accuracy under each protocol, with intervals over people."""
    accuracies = finding.curves[finding.curves["metric"] == "accuracy"]
    width = 0.36
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 4), layout="constrained")
        axes = figure.subplots()
        for side, split in ((-0.5, "validation"), (0.5, "test")):
            bars = accuracies[accuracies["split"] == split].set_index("protocol").loc[[*PROTOCOLS]]
            places = np.arange(len(bars)) + side * width
            reach = (bars["value"] - bars["low"], bars["high"] - bars["value"])
            axes.bar(
                places,
                bars["value"],
                width,
                yerr=reach,
                label=SPLIT_NAMES[split].capitalize(),
                color=BARS[split],
                edgecolor=INK,
                linewidth=0.8,
                error_kw={"ecolor": INK, "capsize": 3, "elinewidth": 1.2},
            )
            for place, bar in zip(places, bars.itertuples(), strict=True):
                axes.annotate(
                    f"{bar.value:.3f}",
                    (place, 0),
                    xytext=(0, 5),
                    textcoords="offset points",
                    ha="center",
                    color="white" if split == "test" else INK,
                )
        alike = accuracies["alike"].iloc[0]
        axes.axhline(alike, color="#D55E00", linestyle=":", label="All called alike", zorder=3)
        axes.set_xticks(range(len(PROTOCOLS)), [*PROTOCOLS.values()], color=INK)
        axes.tick_params(axis="x", length=0)
        axes.set_ylim(0, 1)
        axes.set_ylabel("Accuracy (95 % over people)")
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def people(finding: Finding) -> Figure:
    """Draw the AUROC on new people by the share trained on, of the people and of their cells."""
    whole = finding.curves[finding.curves["share"] == 1]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.2, 4), layout="constrained")
        axes = figure.subplots()
        for i, (of, label) in enumerate(SUBSETS.items()):
            # All of them end the line of fewer cells, too.
            part = pd.concat([finding.curves[finding.curves["of"].eq(of)], whole])
            part = part.drop_duplicates("share").sort_values("share")
            beside = 1 + (2 * i - 1) * 0.015  # so that intervals do not lie upon each other
            axes.errorbar(
                part["share"] * beside,
                part["auroc"],
                yerr=(part["auroc"] - part["auroc_low"], part["auroc_high"] - part["auroc"]),
                label=label,
                color=MODEL_COLOURS[i],
                marker=MODEL_MARKERS[i],
                capsize=3,
                elinewidth=1.2,
            )
        axes.axhline(0.5, color=RULE, linewidth=3, zorder=0)
        some = finding.curves[finding.curves["of"] == "people"]
        ticks = [
            f"{100 * share:g} %\n{people:.0f} people"
            for share, people in zip(some["share"], some["people"], strict=True)
        ]
        axes.set_xscale("log")
        axes.set_xticks(some["share"], ticks)
        axes.minorticks_off()
        axes.margins(x=0.08)
        axes.set_xlabel("Trained on (95 % over the people tested)")
        axes.set_ylabel("AUROC on new people")
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def recipe(finding: Finding) -> Figure:
    """Draw each candidate's AUROC on new people, and its mean accuracy over people of a class."""
    table = finding.table
    places = np.arange(len(table))[::-1]
    trained = table["runs"] > 0
    panels = {"auroc": "AUROC, all folds", "shifted_auroc": "AUROC, shifted"}
    panels = {name: title for name, title in panels.items() if name in table}
    with mpl.rc_context(STYLE):
        height = 1.6 + 0.3 * len(table)
        figure = Figure(figsize=(2.4 + 2.5 * (len(panels) + 1), height), layout="constrained")
        *areas, people = figure.subplots(1, len(panels) + 1, sharey=True)
        for axes, (name, title) in zip(areas, panels.items(), strict=True):
            axes.axvline(0.5, color=RULE, linewidth=3, zorder=0)
            axes.hlines(places, table[f"{name}_low"], table[f"{name}_high"], color=MUTED)
            for known, fill in ((trained, INK), (~trained, "white")):
                look = {"color": INK, "markerfacecolor": fill}
                axes.plot(table.loc[known, name], places[known], "o", **look)
            axes.set_title(title)
            axes.set_xlabel("95 % over people")
        for label, (name, marker) in {
            "normal cells": ("normal_people", "o"),
            "blasts": ("blast_people", "s"),
        }.items():
            colour = MODEL_COLOURS[0 if name == "normal_people" else 1]
            people.plot(table[name], places, marker, color=colour, label=f"people with {label}")
        people.set_title("Mean accuracy over people")
        people.set_xlim(-0.02, 1.02)
        areas[0].set_yticks(places, table["candidate"])
        areas[0].tick_params(axis="y", length=0)
        legend(figure, people)
    return figure
