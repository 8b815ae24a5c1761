rule report:
    input:
        config=in_run("config.yaml"),
        key_files=every_key,
        indexes=every_split(".parquet"),
        stores=every_split(".store"),
        checks=in_data("checks.json"),
        classifier_fit=classifier_record,
        oracle_fit=oracle_record,
        classifier_check=in_judge("check.json"),
        classifier=classifier_file,
        trained=in_run("training/trained.json"),
        history=in_run("training/history.csv"),
        samples=lambda wc: ancient(in_run("training/samples")(wc)),  # as every_image_folder
        scores=every_step("{root}/selection/{step}.parquet"),
        score_table=in_run("selection/scores.csv"),
        selected=in_run("selection/selected.json"),
        tables=conversions("{root}/conversion/{split}/{kind}.parquet"),
        images=every_image_folder,
        cells=conversions("{root}/evaluation/{split}/{kind}_cells.parquet"),
        averages=conversions("{root}/evaluation/{split}/{kind}_averages.json"),
        controls=of_shown_split("{root}/evaluation/{split}/controls.json"),
        explanations=explanations,
        explanation_folders=explanation_folders,
        features=features,
        styles=of_shown_split("{root}/styles/{split}.json"),
        style_images=lambda wc: ancient(of_shown_split("{root}/styles/{split}")(wc)),  # as every_image_folder
    output:
        html=report("reports/{run}.html", caption="../report/report.rst", category="Reports", labels={"run": "{run}"}),
        numbers="reports/{run}.json",
        cells="reports/{run}.csv",
    log:
        "reports/{run}.log",
    params:
        inputs=inputs_as_json,
    shell:
        "quac report --inputs {params.inputs:q} --html {output.html:q} --numbers {output.numbers:q}"
        " --cells {output.cells:q} --log-file {log:q}"


rule explorer:
    input:
        key=key_of("explorer"),
        tables=explanations,
        folders=explanation_folders,
        generated=lambda wc: [ancient(f"{root_of(wc)}/generated_images/{place}") for place in explained(run_of(wc))],
        store=of_shown_data(".store"),
        index=of_shown_data(".parquet"),
    output:
        report(
            "reports/{run}-explorer.html",
            caption="../report/explorer.rst",
            category="Reports",
            labels={"run": "{run}, explanations"},
        ),
    log:
        "reports/{run}-explorer.log",
    threads: network_threads
    params:
        tables=option_per_file("--table", "tables"),
        threads=lambda wc, input, threads: threads,  # of those that `--cores` allows
        split=lambda wc: run_of(wc).shown_split,
    shell:
        "quac explorer --key {input.key:q} {params.tables:q} --split {params.split} --report {wildcards.run:q}.html"
        " --out {output:q} --threads {params.threads} --log-file {log:q}"


ruleorder: report > compare  # one run's report may be called as the page of several


rule compare:
    input:
        numbers=expand("reports/{run}.json", run=REPORTS),
    output:
        report(
            f"reports/{INDEX}.html",
            caption="../report/comparison.rst",
            category="Reports",
            labels={"run": "comparison"},
        ),
    log:
        f"reports/{INDEX}.log",
    params:
        numbers=option_per_file(None, "numbers"),
    shell:
        "quac compare {params.numbers:q} --out {output:q} --log-file {log:q}"


# If the tracker cannot be reached, nothing fails.
rule track_results:
    input:
        trained=in_run("training/trained.json"),
        config=in_run("config.yaml"),
        scores=every_step("{root}/selection/{step}.parquet"),
        html=lambda wc: f"reports/{run_of(wc).run_name}.html",
        numbers=lambda wc: f"reports/{run_of(wc).run_name}.json",
    output:
        "{root}/logs/tracked.json",
    log:
        "{root}/logs/track_results.log",
    params:
        scores=score_pattern,
    shell:
        "quac track-results --config {input.config:q} --trained {input.trained:q} --scores {params.scores:q} --html {input.html:q} --numbers {input.numbers:q}"
        " --out {output:q} --log-file {log:q}"
