const $=id=>document.getElementById(id);
let state={},busy=false;
async function ask(question,given={}){
 const reply=await fetch(question,{method:'POST',headers:{'Content-Type':'application/json'},body:JSON.stringify(given)}),
  found=await reply.json();
 if(!reply.ok)throw new Error(found.error);
 return found}
function fill(id,faces){$(id).replaceChildren(...faces.map(face=>Object.assign(new Image(),{src:face,alt:''})))}
function show(found){
 state=found;
 for(const id of ['original','left','right'])fill(id,found[id]);
 $('who').textContent=`clicks of ${found.who}`;$('count').textContent=found.count;$('progress').value=found.count;
 $('undo').disabled=!found.undo;$('see').disabled=found.count<found.enough;
 document.body.dataset.question=found.question}
async function once(work){ // one question at a time: a key held down answers no other
 if(busy)return;
 busy=true;
 try{await work();$('problem').hidden=true}
 catch(error){$('problem').textContent=error instanceof TypeError?'pick.py has ended: start it again.':error.message;
  $('problem').hidden=false}
 finally{busy=false}}
const QUESTION=$('title').textContent;
const turn=(asking,result,closed)=>{$('asking').hidden=!asking;$('result').hidden=!result;$('closed').hidden=!closed;
 $('title').textContent=result?'Your taste':QUESTION};
const answer=choice=>once(async()=>{
 const side=document.querySelector(`.side[data-answer=${choice}]`);side?.classList.add('picked');
 try{const found=await ask('click',{question:state.question,answer:choice});show(found);
  if(found.count==found.enough)await result()}
 finally{side?.classList.remove('picked')}});
async function result(){
 const found=(await ask('result')).result;
 if(!found)return;
 for(const id of ['sentence','recommendation','codes','others','command'])$(id).textContent=found[id];
 fill('before',found.original);fill('after',found.faces);$('after').parentElement.hidden=!found.faces.length;
 turn(false,true,false)}
const undo=()=>once(async()=>{if(state.undo)show(await ask('undo'))});
document.querySelectorAll('[data-answer]').forEach(b=>b.addEventListener('click',()=>answer(b.dataset.answer)));
$('undo').addEventListener('click',undo);
$('see').addEventListener('click',()=>once(result));
$('more').addEventListener('click',()=>turn(true,false,false));
$('done').addEventListener('click',()=>once(async()=>{await ask('done');turn(false,false,true)}));
const KEYS={1:'left',2:'right',3:'equal',ArrowLeft:'left',ArrowRight:'right',ArrowDown:'equal'};
addEventListener('keydown',e=>{
 if(e.repeat||e.altKey||$('asking').hidden)return;
 if(e.key=='u'||e.key=='Backspace'||(e.ctrlKey||e.metaKey)&&e.key=='z'){e.preventDefault();undo()}
 else if(KEYS[e.key]&&!e.ctrlKey&&!e.metaKey){e.preventDefault();answer(KEYS[e.key])}});
once(async()=>show(await ask('state')));
