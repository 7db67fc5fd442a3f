export type Shell = "bash" | "zsh" | "fish";

/**
 * What a shell runs: each asks `taskgate __complete` with the words so far, the last one being the one under the cursor, and gets a
 * candidate a line. Nothing of the tree of commands is repeated here, so nothing can differ from it.
 */
export const COMPLETION_SCRIPTS: Readonly<Record<Shell, string>> = {
  // Candidates are of harmless characters only (see commands/complete.ts), so word splitting at line ends is all that happens to them.
  // bash breaks words at "=" and ":" (COMP_WORDBREAKS): __complete joins them again, and is told so.
  bash: `# taskgate completion for bash. To use it: source <(taskgate completion bash)
_taskgate() {
  local IFS=$'\\n'
  COMPREPLY=($("$1" __complete --split -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _taskgate taskgate
`,
  zsh: `#compdef taskgate
# taskgate completion for zsh. To use it: source <(taskgate completion zsh)
_taskgate() {
  local -a candidates
  candidates=("\${(@f)$("$words[1]" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  candidates=("\${(@)candidates:#}")
  if (( $#candidates )); then
    compadd -- "\${candidates[@]}"
  else
    _files
  fi
}
compdef _taskgate taskgate
`,
  fish: `# taskgate completion for fish. To use it: taskgate completion fish | source
function __taskgate_complete
  set -l before (commandline -opc)
  set -l candidates ($before[1] __complete -- $before[2..-1] (commandline -ct) 2>/dev/null)
  if test (count $candidates) -gt 0
    printf '%s\\n' $candidates
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c taskgate -f -a '(__taskgate_complete)'
`,
};
