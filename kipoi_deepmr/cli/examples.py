"""What `--help` shows below the options: examples of each command, and the exit codes.

The tests run every example but simulate's, which train networks, in a folder with the files that they name.
"""

EXIT_CODES = """\
exit codes:
  0    done
  1    failed although the input was valid (what was computed is kept), or `check` found models unfit
  2    the input is wrong: one message, nothing half-written
  130  interrupted by Ctrl-C, 143 by SIGTERM; to resume, repeat the command
  141  the reader of our standard output closed it"""

EXAMPLES = {
    "": """\
examples:
  %(prog)s check model/1 model/2 model/3
  %(prog)s run model/1 model/2 model/3 \\
      --intervals_file loci.bed --fasta_file genome.fa -o OUT""",
    "example": """\
example:
  %(prog)s -o EXAMPLE""",
    "check": """\
examples:
  %(prog)s fold1.pt fold2.pt fold3.pt --module net.py:Net --length 100
  %(prog)s model/1 --augment rc --intervals_file loci.bed --fasta_file genome.fa""",
    "init": """\
example:
  %(prog)s SHARED fold1.pt fold2.pt fold3.pt --module net.py:Net --length 100 --marks GATA,TAL1""",
    "calibrate": """\
examples:
  %(prog)s model/1 model/2 model/3 --source dir --intervals_file loci.bed --fasta_file genome.fa \\
      --observed observed.tsv --recalibration quantile -o calibration.json
  kipoi deepmr estimate effects.zarr --calibration calibration.json -o local.tsv""",
    "run": """\
examples:
  %(prog)s fold1.pt fold2.pt fold3.pt --module net.py:Net --intervals_file loci.bed --fasta_file genome.fa -o OUT
  %(prog)s 'model/*' --dataloader_args intervals_file=loci.bed fasta_file=genome.fa \\
      --n_loci 10 --method ivw,egger --instrument_z 2 -o OUT2
  %(prog)s --config OUT/run.json --method median_weighted -o OUT3""",
    "predict": """\
examples:
  %(prog)s model/1 model/2 model/3 --source dir --intervals_file loci.bed --fasta_file genome.fa -o effects.zarr
  %(prog)s model/1 --source dir --augment rc,shift=-1:1 --intervals_file loci.bed --fasta_file genome.fa \\
      --keep summary -o views.zarr""",
    "estimate": """\
examples:
  %(prog)s effects.zarr --method ivw,egger,median_weighted --instrument_z 2 -o local.tsv
  %(prog)s effects.zarr --exposures GATA --outcomes TAL1 --method ivw -o - | cut -f 5,9-12""",
    "aggregate": """\
examples:
  %(prog)s local.tsv -o global.tsv
  %(prog)s local.tsv --motifs motifs.bed --annotate enhancers.bed -o global.tsv""",
    "network": """\
examples:
  %(prog)s OUT -o net.tsv
  %(prog)s effects.zarr --network_min_effect 0.1 -o - | cut -f 1-4""",
    "annotate": """\
examples:
  %(prog)s OUT --input_vcf variants.vcf.gz -o annotated.vcf.gz
  %(prog)s OUT --input_vcf variants.vcf.gz --causal_effects instruments -o - | grep PAIRS""",
    "table": """\
examples:
  %(prog)s OUT --exposure GATA --outcome 'T*'
  %(prog)s OUT --outcome TAL1 | cut -f 5-10""",
    "tracks": """\
examples:
  %(prog)s OUT -o TRACKS
  %(prog)s effects.zarr --marks GATA --value mean -o TRACKS2""",
    "shape": """\
examples:
  %(prog)s OUT --exposure GATA --outcome TAL1 -o shape.tsv
  %(prog)s OUT --exposure GATA --outcome TAL1 --state TAL1 -o - | cut -f 1-4,16""",
    "interaction": """\
examples:
  kipoi deepmr predict model/1 model/2 model/3 --source dir --intervals_file loci.bed --fasta_file genome.fa \\
      --mutants regions,pairs --instrument_regions motifs.bed -o pairs.zarr
  %(prog)s pairs.zarr --outcomes TAL1 -o interaction.tsv""",
    "report": """\
example:
  %(prog)s OUT""",
    "simulate": """\
examples:
  %(prog)s --rounds 1 --scenarios none --members 2 --n_training 1000 -o simulation
  %(prog)s --stored --analysis members --uncertainty members --instruments own --instrument_z 1 -o simulation
  %(prog)s --rounds 4 --sweep 0.5,1,2 -o sweep
The first is too small to mean anything; without its options it makes ten rounds of four scenarios: hours.""",
    "completion": """\
bash, for one session or in ~/.bashrc:
  source <(%(prog)s bash)
zsh, in ~/.zshrc after compinit:
  source <(%(prog)s zsh)
The script completes the command by which you call it here: kipoi or kipoi-deepmr.""",
    "plot global": """\
example:
  %(prog)s OUT/global.tsv --method ivw -o fig3.pdf""",
    "plot network": """\
examples:
  %(prog)s OUT -o network.pdf
  %(prog)s OUT --style talk -o network.png""",
    "plot heatmap": """\
examples:
  %(prog)s OUT -o heatmap.pdf
  %(prog)s OUT --mark_table tracks.tsv --color_by assay -o heatmap.pdf""",
    "plot spacing": """\
example:
  %(prog)s OUT/strata.tsv -o s1.pdf""",
    "plot simulation": """\
example:
  %(prog)s rounds.tsv -o fig2.pdf""",
    "plot forest": """\
example:
  %(prog)s OUT --exposure GATA --outcome TAL1 -o forest.pdf""",
    "plot local": """\
example:
  %(prog)s OUT --locus locus0008 --exposure GATA --outcome TAL1 -o locus.svg""",
    "plot tracks": """\
example:
  %(prog)s OUT --locus locus0008 --exposure GATA --outcome TAL1 --window 40:70 -o tracks.png""",
}
