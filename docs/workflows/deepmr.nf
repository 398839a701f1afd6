// Effects, local and global causal effects of each sample's loci, by the same models.
//   nextflow run deepmr.nf --models 'model/*' --fasta genome.fa --samples samples.csv
// samples.csv has the columns sample and bed.
nextflow.enable.dsl = 2

params.models = null
params.fasta = null
params.samples = null
params.results = 'results'

process PREDICT {
    tag sample
    cpus 2
    memory '8 GB'

    input:
    tuple val(sample), path(bed)
    path models, stageAs: 'models/*'
    path fasta

    output:
    tuple val(sample), path('effects.zarr')

    script:
    """
    kipoi-deepmr predict ${models} --source dir --intervals_file ${bed} --fasta_file ${fasta} -q -o effects.zarr
    """
}

process ESTIMATE {
    tag sample
    publishDir { "${params.results}/${sample}" }, mode: 'copy'

    input:
    tuple val(sample), path(effects)
    path fasta

    output:
    tuple val(sample), path(effects), path('local.tsv'), emit: tables
    path 'local.*', emit: all

    script:
    """
    kipoi-deepmr estimate ${effects} --fasta_file ${fasta} -q -o local.tsv
    """
}

process AGGREGATE {
    tag sample
    publishDir { "${params.results}/${sample}" }, mode: 'copy'

    input:
    tuple val(sample), path(effects), path(local_effects)

    output:
    path 'global.*'

    script:
    """
    kipoi-deepmr aggregate ${local_effects} --effects ${effects} -q -o global.tsv
    """
}

workflow {
    models = Channel.fromPath(params.models, type: 'dir', checkIfExists: true).collect()
    fasta = Channel.fromPath(params.fasta, checkIfExists: true).first()
    samples = Channel.fromPath(params.samples, checkIfExists: true).splitCsv(header: true)
        .map { row -> tuple(row.sample, file(row.bed, checkIfExists: true)) }
    PREDICT(samples, models, fasta)
    ESTIMATE(PREDICT.out, fasta)
    AGGREGATE(ESTIMATE.out.tables)
}
