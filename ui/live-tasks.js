/** What the page knows: tasks by id, and problems of no task. */
export const NOTHING = Object.freeze({ tasks: new Map(), problems: Object.freeze([]) });

/** What is known after an event. A change leaves all other tasks the objects that they were. */
export function applyEvent(known, event) {
  if (event.kind === "tasks") {
    return { tasks: new Map(event.tasks.map((task) => [task.id, task])), problems: event.problems };
  }
  const tasks = new Map(known.tasks);
  for (const id of event.removed) tasks.delete(id);
  for (const task of event.set) tasks.set(task.id, task);
  return { tasks, problems: event.problems };
}

/** Those that have every word in their name, kind, owner or state; by name. */
export function selectTasks(tasks, filter) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = (task) => {
    const text = [task.name, task.kind, task.owner ?? "", task.state].join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  };
  return [...tasks].filter(matches).sort((a, b) => a.name.localeCompare(b.name) || a.id.localeCompare(b.id));
}

export function hasEnded(task) {
  return task.state === "finished" || task.state === "failed";
}
