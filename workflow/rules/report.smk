rule report:
    input:
        config=in_run("config.yaml"),
        key_files=every_key,
        indexes=every_split(".parquet"),
        stores=every_split(".store"),
        checks=in_data("checks.json"),
        classifier_fit=classifier_record,
        classifier_check=in_judge("check.json"),
        markers=every_marker,
        history=lambda wc: f"{root_of(wc)}/training/{SEGMENTS[root_of(wc)][-1]:06d}_history.csv",
        scores=every_step("{root}/selection/{step}.parquet"),
        score_table=in_run("selection/scores.csv"),
        selected=in_run("selection/selected.json"),
        tables=conversions("{root}/conversion/{split}/{kind}.parquet"),
        images=every_image_folder,
        cells=conversions("{root}/evaluation/{split}/{kind}_cells.csv"),
        averages=conversions("{root}/evaluation/{split}/{kind}_averages.json"),
        styles=of_shown_split("{root}/styles/{split}.json"),
        style_images=lambda wc: ancient(of_shown_split("{root}/styles/{split}")(wc)),  # as every_image_folder
    output:
        html=report("reports/{run}.html", caption="../report/report.rst", category="Reports", labels={"run": "{run}"}),
        numbers="reports/{run}.json",
        cells="reports/{run}.csv",
    log:
        "reports/{run}.log",
    params:
        inputs=as_json,
    shell:
        "quac report --inputs {params.inputs:q} --html {output.html:q} --numbers {output.numbers:q}"
        " --cells {output.cells:q} --log-file {log:q}"


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
    shell:
        "quac compare {input.numbers:q} --out {output:q} --log-file {log:q}"


# A tracker that cannot be reached fails nothing.
rule track_results:
    input:
        marker=lambda wc: every_marker(wc)[-1],
        scores=every_step("{root}/selection/{step}.parquet"),
        html=lambda wc: f"reports/{run_of(wc).run_name}.html",
        numbers=lambda wc: f"reports/{run_of(wc).run_name}.json",
    output:
        "{root}/logs/tracked.json",
    log:
        "{root}/logs/track_results.log",
    params:
        scores=repeated("--scores", "scores"),
        config=config_as_json,
    shell:
        "quac track-results --marker {input.marker:q} {params.scores:q} --html {input.html:q} --numbers {input.numbers:q}"
        " --config {params.config:q} --out {output:q} --log-file {log:q}"
