rule convert:
    input:
        unpack(converting("{root}/conversion/{split}/{kind}.parquet")),
    output:
        table="{root}/conversion/{split}/{kind}.parquet",
        images=directory("{root}/generated_images/{split}/{kind}"),
    log:
        "{root}/logs/convert_{split}_{kind}.log",
    benchmark:
        "{root}/logs/convert_{split}_{kind}.tsv"
    wildcard_constraints:
        root=roots_where(whole=True),
    threads: network_threads
    resources:
        gpu=1,
        mem_mb=8000,
    params:
        oracles=option_per_file("--oracle", "oracles"),
        options=device_options,
    shell:
        "quac convert-split --key {input.key:q} --selected {input.selected:q} --classifier {input.classifier:q}"
        " {params.oracles:q}"
        " --store {input.store:q} --index {input.index:q}"
        " --reference-store {input.reference_store:q} --reference-index {input.reference_index:q}"
        " --kind {wildcards.kind} --out {output.table:q} --images {output.images:q} {params.options} --log-file {log:q}"


use rule convert as convert_shard with:
    input:
        unpack(converting("{root}/conversion/{split}/{kind}_{shard}.parquet")),
    output:
        table="{root}/conversion/{split}/{kind}_{shard}.parquet",
        images=directory("{root}/conversion/{split}/{kind}_{shard}"),
    log:
        "{root}/logs/convert_{split}_{kind}_{shard}.log",
    benchmark:
        "{root}/logs/convert_{split}_{kind}_{shard}.tsv"
    wildcard_constraints:
        root=roots_where(whole=False),
    params:
        oracles=option_per_file("--oracle", "oracles"),
        options=shard_options,


rule gather_conversion:
    input:
        tables=every_shard("{root}/conversion/{split}/{kind}_{shard}.parquet"),
        images=every_shard("{root}/conversion/{split}/{kind}_{shard}"),
    output:
        table="{root}/conversion/{split}/{kind}.parquet",
        images=directory("{root}/generated_images/{split}/{kind}"),
    log:
        "{root}/logs/gather_{split}_{kind}.log",
    wildcard_constraints:
        root=roots_where(whole=False),
    params:
        tables=option_per_file("--part", "tables"),
        images=option_per_file("--part-images", "images"),
    shell:
        "quac gather {params.tables:q} {params.images:q} --out {output.table:q} --images {output.images:q} --log-file {log:q}"


rule matrices:
    input:
        # The classifier's outputs for real images change only with those for generated ones, or for other splits.
        unpack(
            order_only(
                "{root}/evaluation/{split}/{kind}_cells.parquet",
                {
                    "table": in_run("conversion/{split}/{kind}.parquet"),
                    "index": in_data("{split}.parquet"),
                    "key": key_of("matrices_{split}"),
                },
                gates=[in_judge("judged.parquet")],
            )
        ),
    output:
        matrices=[
            report(
                f"{{root}}/evaluation/{{split}}/{{kind}}_{metric}.csv",
                caption="../report/matrix.rst",
                category="Matrices",
                subcategory="{root}",
                labels={"split": "{split}", "styles": "{kind}", "number": metric.replace("_", " ")},
            )
            for metric in METRICS
        ],
        cells="{root}/evaluation/{split}/{kind}_cells.parquet",
        cells_csv="{root}/evaluation/{split}/{kind}_cells.csv",  # for users
        averages="{root}/evaluation/{split}/{kind}_averages.json",
    log:
        "{root}/logs/matrices_{split}_{kind}.log",
    params:
        matrices=lambda wc, output: [word for path in output.matrices for word in ("--out", path)],
    shell:
        "quac matrices --key {input.key:q} --table {input.table:q} --index {input.index:q} --judged {input.gates:q} {params.matrices:q}"
        " --cells {output.cells:q} --cells-csv {output.cells_csv:q} --averages {output.averages:q} --log-file {log:q}"


rule show_styles:
    input:
        unpack(by_selected("{root}/styles/{split}.json", {"key": key_of("style_grids_{split}")})),
    output:
        grids="{root}/styles/{split}.json",
        images=directory("{root}/styles/{split}"),
    log:
        "{root}/logs/show_styles_{split}.log",
    benchmark:
        "{root}/logs/show_styles_{split}.tsv"
    threads: network_threads
    resources:
        gpu=1,
        mem_mb=8000,
    params:
        options=device_options,
    shell:
        "quac show-styles --key {input.key:q} --selected {input.selected:q} --classifier {input.classifier:q}"
        " --store {input.store:q} --index {input.index:q}"
        " --reference-store {input.reference_store:q} --reference-index {input.reference_index:q}"
        " --out {output.grids:q} --images {output.images:q} {params.options} --log-file {log:q}"


rule controls:
    input:
        tables=every_kind("{root}/conversion/{split}/{kind}.parquet"),
        classifier=classifier_file,
        oracles=oracles,
        store=in_data("{split}.store"),
        index=in_data("{split}.parquet"),
        train_store=in_data("train.store"),
        train_index=in_data("train.parquet"),
        key=key_of("controls_{split}"),
    output:
        "{root}/evaluation/{split}/controls.json",
    log:
        "{root}/logs/controls_{split}.log",
    benchmark:
        "{root}/logs/controls_{split}.tsv"
    threads: network_threads
    resources:
        gpu=1,
        mem_mb=8000,
    params:
        tables=option_per_file("--table", "tables"),
        oracles=option_per_file("--oracle", "oracles"),
        options=device_options,
    shell:
        "quac controls --key {input.key:q} --classifier {input.classifier:q} {params.oracles:q} {params.tables:q}"
        " --store {input.store:q} --index {input.index:q}"
        " --train-store {input.train_store:q} --train-index {input.train_index:q}"
        " --out {output:q} {params.options} --log-file {log:q}"
