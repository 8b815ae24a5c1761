rule fit_classifier:
    input:
        store=in_data("train.store"),
        index=in_data("train.parquet"),
        validation_store=in_data("validation.store"),
        validation_index=in_data("validation.parquet"),
        weights=user_file("classifier.weights"),
        key=key_of("classifier"),
    output:
        classifier="{judge}/classifier.pt",
        record="{judge}/fit.json",
    log:
        "{judge}/logs/fit.log",
    benchmark:
        "{judge}/logs/fit.tsv"
    threads: network_threads
    resources:
        gpu=1,
        mem_mb=8000,
    params:
        how=lambda wc, input: ["--weights", input.weights] if input.weights else [],
        options=device_options,
    shell:
        # TorchScript writes sets in the order of the hashes of their strings: so, the same weights are the same file.
        "PYTHONHASHSEED=0 quac fit-classifier --key {input.key:q} --store {input.store:q} --index {input.index:q}"
        " --validation-store {input.validation_store:q} --validation-index {input.validation_index:q}"
        " {params.how:q} --out {output.classifier:q} --record {output.record:q} {params.options} --log-file {log:q}"


use rule fit_classifier as fit_oracle with:
    input:
        store=in_data("train.store"),
        index=in_data("train.parquet"),
        validation_store=in_data("validation.store"),
        validation_index=in_data("validation.parquet"),
        key=key_of("oracle"),
    output:
        classifier="{judge}/oracle.pt",
        record="{judge}/oracle.json",
    log:
        "{judge}/logs/fit_oracle.log",
    benchmark:
        "{judge}/logs/fit_oracle.tsv"
    params:
        how="--as-oracle",
        options=device_options,


rule check_classifier:
    input:
        stores=every_split(".store"),
        indexes=every_split(".parquet"),
        classifier=classifier_file,
        oracles=oracles,
        key=key_of("check"),
    output:
        check="{judge}/check.json",
        table="{judge}/judged.parquet",
    log:
        "{judge}/logs/check.log",
    threads: network_threads
    resources:
        gpu=1,
        mem_mb=8000,
    params:
        stores=option_per_file("--store", "stores"),
        indexes=option_per_file("--index", "indexes"),
        oracles=option_per_file("--oracle", "oracles"),
        options=device_options,
    shell:
        "quac check-classifier --key {input.key:q} --classifier {input.classifier:q} {params.oracles:q}"
        " {params.stores:q} {params.indexes:q} --out {output.check:q} --table {output.table:q}"
        " {params.options} --log-file {log:q}"
